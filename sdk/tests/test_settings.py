"""Settings: arguments, then variables, then defaults; and nothing wrong with them is fatal."""

import logging
from typing import Any

import pytest

from tokenwatcher import MemoryTransport, TokenWatcher
from tokenwatcher.masking import mask, shown_key
from tokenwatcher.settings import load


def test_argument_wins_over_variable_and_variable_over_default() -> None:
    environ = {"TOKENWATCHER_API_KEY": "from-environment", "TOKENWATCHER_MAX_BATCH_SIZE": "7",
               "TOKENWATCHER_BATCH": "no", "TOKENWATCHER_PROJECT_SLUG": "shop"}  # fmt: skip
    settings = load({"api_key": "from-argument", "endpoint": None}, environ)
    assert settings.api_key == "from-argument"
    assert settings.max_batch_size == 7
    assert settings.project_slug == "shop"
    assert not settings.batch
    assert settings.endpoint == "http://127.0.0.1:3000"
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("given", "environ", "problem"),
    [
        ({}, {}, "no API key"),
        ({"api_key": "k", "endpoint": "ftp://example.com"}, {}, "endpoint"),
        ({"api_key": "k", "endpoint": "http://[::1"}, {}, "endpoint"),
        ({"api_key": "k", "endpoint": "http://host..name"}, {}, "endpoint"),
        ({"api_key": "tw_live_k\nX-Other: 1"}, {}, "API key"),
        ({"api_key": "tw_live_k\u2026"}, {}, "API key"),
        ({"api_key": b"tw_live_k"}, {}, "API key"),
        ({"api_key": "k", "endpoint": "http://host:99999"}, {}, "endpoint"),
        ({"api_key": "k", "max_batch_size": 0}, {}, "max_batch_size"),
        ({"api_key": "k", "timeout": "fast"}, {}, "timeout"),
        ({"api_key": "k"}, {"TOKENWATCHER_DEBUG": "perhaps"}, "TOKENWATCHER_DEBUG"),
        ({"api_key": "k"}, {"TOKENWATCHER_TIMEOUT": "ten"}, "TOKENWATCHER_TIMEOUT"),
    ],
)
def test_bad_setting_is_said_in_words(
    given: dict[str, Any], environ: dict[str, str], problem: str
) -> None:
    settings = load(given, environ)
    assert len(settings.problems) == 1
    assert problem in settings.problems[0]


def test_key_with_the_end_of_its_line_is_the_key() -> None:
    settings = load({"api_key": "tw_live_k\r\n", "endpoint": " https://host/ "}, {})
    assert (settings.api_key, settings.endpoint) == ("tw_live_k", "https://host")
    assert settings.problems == ()


def test_client_without_a_key_records_nothing_and_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKENWATCHER_API_KEY", raising=False)
    client = TokenWatcher()
    assert "no API key" in caplog.text
    assert client.track(lambda: 42) == 42
    assert "disabled" in repr(client)


def test_disabled_client_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        TokenWatcher(disabled=True)
    assert caplog.text == ""


def test_project_goes_with_every_event() -> None:
    transport = MemoryTransport()
    client = TokenWatcher("k", project_slug="shop", transport=transport, flush_interval=0.0)
    client.track(lambda: 42)
    client.track_manual("openai", "m", 1, 1, project_slug="other")
    client.shutdown()
    sent = b"".join(body for _, body in transport.posts)
    assert b'"projectSlug": "shop"' in sent
    assert b'"projectSlug": "other"' in sent


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdef1234567890abcdef.",
        "Authorization: Bearer abcdefghijklmnop",
        "https://api.example.com/v1?key=AIzaSyA1234567890abcdefghijk",
        "x-api-key: sk-ant-api03-abcdefghijklmnop",
        "postgres://user:hunter2hunter2@db/1",
        "AKIAIOSFODNN7EXAMPLE is not authorised",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi",
        "gsk_abcdefghijklmnop and hf_abcdefghijklmnop and xai-abcdefghijklmnop",
        'api_key="super-secret-value"',
        "password=correct-horse",
    ],
)
def test_credentials_are_masked(text: str) -> None:
    masked = mask(text)
    assert "***" in masked
    for secret in ("abcdef", "AIza", "hunter2", "AKIA", "eyJ", "super-secret", "correct-horse"):
        assert secret not in masked


def test_ordinary_words_are_not_masked() -> None:
    text = "The model gpt-4o-mini took 1,200 tokens for the key question of task-force 7."
    assert mask(text) == text


def test_part_of_our_own_key_is_shown() -> None:
    assert shown_key("tw_live_" + "a" * 43) == "tw_live_***"
    assert shown_key("short") == "***"
    assert shown_key(None) == "none"

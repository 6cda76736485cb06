"""Odd requests are answered in order: no 5xx, nothing foreign let in, nothing given away."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Browser = Callable[[], httpx.Client]
EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "PUT"])
@pytest.mark.parametrize("path", ["/", "/keys", "/api/stats", "/api/api-keys", "/api/ingest"])
def test_another_method_gives_nothing_away(visitor: Browser, method: str, path: str) -> None:
    answer = visitor().request(method, path)
    assert answer.status_code in {204, 405}
    assert "content-security-policy" in answer.headers
    assert "workspace" not in answer.text


@pytest.mark.parametrize(
    "accept", [b"image/png", b"*/*;q=0", b"\xff", b"a" * 8000, b"text/html, \x80", b""]
)
def test_a_wish_for_another_form_is_no_error(signed_in: Browser, accept: bytes) -> None:
    browser = signed_in()
    assert browser.get("/api/stats", headers={b"Accept": accept}).status_code == 200
    missing = browser.get("/nowhere", headers={b"Accept": accept})
    assert missing.status_code == 404
    assert "There is nothing here" in missing.text


@pytest.mark.parametrize(
    "origin",
    [b"https://good.example.evil", b"https://goodxexample", b"http://good.example", b"null",
     b"HTTPS://GOOD.EXAMPLE", b"https://good.example.", b"https://good.example:444",
     b"https://" + b"a" * 9000, b"x\xff", b"https://good.example, https://good.example"],
)  # fmt: skip
def test_an_origin_that_only_looks_allowed_is_let_in_nowhere(allowing: Any, origin: bytes) -> None:
    with allowing.client(allowing.key()) as app:
        headers = {b"Origin": origin}
        answers = [
            app.post("/api/ingest", json=EVENT, headers=headers),
            app.post("/api/ingest", json={}, headers=headers),
            app.options("/api/ingest", headers=headers),
        ]
    assert [answer.status_code for answer in answers] == [200, 400, 403]
    assert not [name for answer in answers for name in answer.headers if "allow-origin" in name]


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory, instance: Any) -> Any:
    """A server that pages of https://good.example may send to."""
    folder = tmp_path_factory.mktemp("allowing") / "data"
    running = type(instance)(folder, INGEST_ALLOWED_ORIGINS="https://good.example")
    yield running
    running.stop()


def test_an_allowed_origin_is_answered_by_name_on_refusals_too(allowing: Any) -> None:
    origin = "https://good.example"
    with allowing.client(allowing.key()) as app, allowing.client() as stranger:
        headers = {"Origin": origin}
        good = app.post("/api/ingest", json=EVENT, headers=headers)
        bad = app.post("/api/ingest", json={}, headers=headers)
        refused = stranger.post("/api/ingest", json=EVENT, headers=headers)
    assert [good.status_code, bad.status_code, refused.status_code] == [200, 400, 401]
    for answer in (good, bad, refused):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "bearer x", "Bearer  {key}", "Basic {key}", "Bearer {key} y", "Bearer\t{key}",
     "Bearer {key}, Bearer {key}", "{key}", "Bearer " + "x" * 8000, "Bearer " + "x" * 60_000],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/ingest", "/api/stats"])
def test_a_key_that_is_not_sent_as_it_should_be_is_none(
    door: Any, visitor: Browser, authorization: str, path: str
) -> None:
    headers = {"Authorization": authorization.format(key=door.key())}
    method = "POST" if path == "/api/ingest" else "GET"
    answer = visitor().request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("language", ["tr_TR.UTF-8", "C"])
def test_neither_the_language_nor_the_zone_of_the_machine_changes_an_answer(
    new_instance: Callable[..., Any], language: str
) -> None:
    running = new_instance(LANG=language, LC_ALL=language, TZ="Pacific/Apia")
    at = {"timestamp": "2026-11-20T23:59:59.999999Z"}
    with running.client(running.key()) as app, running.client(running.key("--kind", "read")) as ask:
        assert app.post("/api/ingest", json=EVENT | at).status_code == 200
        period = {"from": "2026-11-20", "to": "2026-11-21"}
        [day] = ask.get("/api/stats", params=period).json()["dailyTrend"][:1]
        assert (day["date"], day["callCount"]) == ("2026-11-20", 1)
        assert ask.get("/API/INGEST").status_code == 404

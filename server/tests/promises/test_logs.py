"""No log line, error, metric or page holds a key, password, cookie, prompt or query string."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog

from tokenwatcher_server.observability import logs
from tokenwatcher_server.settings import SettingsError, load

PASSWORD = "marked-password-5f1c9d"
MARK = "MARKED5f1c9d"
SESSION_SECRET = "s3SsionZq8r2Lw0Vn5Xc7Kd9Fh1Jm3Pt6MARKED5f1c9d"
PROVIDER_KEY = f"sk-proj-{MARK}abcdefgh"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged as JSON in production, by a process that knows a secret of its own."""
    hooks = sys.excepthook, threading.excepthook
    stream = io.StringIO()
    logs.configure(json=True, secrets=["own-secret-value"], stream=stream)
    yield stream
    structlog.reset_defaults()
    logging.basicConfig(force=True)
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = hooks


@pytest.mark.parametrize(
    "text",
    [
        f"tw_live_{MARK}0123456789",
        PROVIDER_KEY,
        f"Authorization: Bearer {MARK}",
        f"Cookie: tokenwatcher_session={MARK}; other={MARK}",
        f"postgresql://user:{MARK}@db.example/tokens",
        f"GET /api/events?user={MARK}&key={MARK}",
        f"https://app.example/invitation/{MARK}",
        f"/sign-in/{MARK}abc",
        f"password={MARK}",
        f"whsec_{MARK}",
        f"https://hooks.slack.com/services/T0/B0/{MARK}",
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_is(log: io.StringIO, text: str) -> None:
    logs.logger().info(text, detail={"deep": [text, {"deeper": text}]}, error=ValueError(text))
    assert MARK not in log.getvalue()
    assert "***" in log.getvalue()


def test_what_is_named_like_a_secret_is_masked_whatever_it_looks_like(log: io.StringIO) -> None:
    logs.logger().info("x", password=MARK, prompt=MARK, headers={"set-cookie": MARK}, api_key=MARK,
                       webhook_secret=MARK, completion=MARK, query=MARK)  # fmt: skip
    assert MARK not in log.getvalue()


def test_the_instances_own_secrets_are_masked_in_any_text(log: io.StringIO) -> None:
    logs.logger().warning("it is own-secret-value", at="own-secret-value")
    logging.getLogger("a.library").error("library says %s", "own-secret-value")
    assert "own-secret-value" not in log.getvalue()
    assert log.getvalue().count("\n") == 2
    assert '"library": "a.library"' in log.getvalue()


def test_of_a_librarys_error_the_place_is_kept_and_not_what_it_quotes(log: io.StringIO) -> None:
    try:
        int(f"the prompt {MARK}")
    except ValueError:
        logs.logger().exception("a request failed")
    [line] = log.getvalue().splitlines()
    assert MARK not in line
    assert "ValueError" in json.loads(line)["exception"]
    assert "test_logs.py" in json.loads(line)["exception"]


def test_every_line_of_a_request_has_its_id(log: io.StringIO) -> None:
    token = logs.request_id.set("0123456789abcdef")
    logs.logger().info("one")
    logging.getLogger("library").warning("two")
    logs.request_id.reset(token)
    logs.logger().info("three")
    ids = [json.loads(line).get("request_id") for line in log.getvalue().splitlines()]
    assert ids == ["0123456789abcdef", "0123456789abcdef", None]


def test_a_line_break_that_is_sent_makes_no_line_of_its_own(log: io.StringIO) -> None:
    logs.logger().info("a\r\nb", value='x\n{"event": "forged"}')
    assert len(log.getvalue().splitlines()) == 1


def test_a_format_that_is_none_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="TOKENWATCHER_LOG_FORMAT"):
        load({"TOKENWATCHER_LOG_FORMAT": "xml"})


def test_traffic_of_every_kind_leaves_no_secret_anywhere(new_instance: Callable[..., Any]) -> None:
    running = new_instance(
        DASHBOARD_PASSWORD=PASSWORD,
        DASHBOARD_SESSION_SECRET=SESSION_SECRET,
        STORE_PROMPTS="true",
        CRON_SECRET=f"cr0n{SESSION_SECRET}",
    )
    raw = running.key()
    seen: list[str] = []
    with running.client() as browser, running.client(raw) as app:
        seen += send_events(app, raw)
        session = sign_in(browser, seen)
        made = use_the_dashboard(browser, seen)
        seen += ask_wrongly(running, raw)
        seen.append(app.get("/metrics", headers={"Authorization": ""}).text)
    running.stop()
    secrets = (PASSWORD, SESSION_SECRET, PROVIDER_KEY, raw, *session, *made, f"prompt-{MARK}")
    for secret in secrets:
        assert secret not in running.log, secret
        for number, text in enumerate(seen):
            assert secret not in text, (secret[:10], number)
    assert MARK not in running.log
    assert running.log
    for line in running.log.splitlines():
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()


def send_events(app: httpx.Client, raw: str) -> list[str]:
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1,
             "prompt": f"prompt-{MARK}", "completion": f"prompt-{MARK}"}  # fmt: skip
    failed = {"eventType": "error", "provider": "openai", "model": "gpt-4o",
              "errorType": "Refused", "errorMessage": f"key {PROVIDER_KEY} is wrong"}  # fmt: skip
    bad = [event | {"inputTokens": f"prompt-{MARK}"}, event | {"provider": 7}, {}]
    answers = [app.post("/api/ingest", json=one) for one in (event, failed, *bad)]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400, 400]
    answers += [
        app.post("/api/ingest", content=f'{{"prompt": "prompt-{MARK}'.encode()),
        app.post("/api/ingest/batch", json={"events": [event, *bad]}),
        app.post(f"/api/ingest?key={raw}&prompt=prompt-{MARK}", json=event),
        app.get(f"/api/events?model=prompt-{MARK}&days=x"),
        app.get("/api/ingest", headers={"X-Request-Id": f"prompt-{MARK}\x7f"}),
    ]
    return [answer.text for answer in answers]


def sign_in(browser: httpx.Client, seen: list[str]) -> list[str]:
    for password in (f"{PASSWORD}-wrong", PASSWORD):
        given = {"username": "admin", "password": password}
        seen.append(browser.post("/api/auth/login", json=given).text)
    browser.headers["X-CSRF-Token"] = browser.get("/api/auth/csrf").json()["csrfToken"]
    return [value for name, value in browser.cookies.items() if "session" in name]


def use_the_dashboard(browser: httpx.Client, seen: list[str]) -> list[str]:
    """Make and rotate keys, and look at everything; gives the keys, shown where they are made."""
    [workspace, *_] = browser.get("/api/workspaces").json()["workspaces"]
    made = browser.post("/api/api-keys", json={"workspaceId": workspace["id"]}).json()
    key = made["apiKey"]["id"]
    successor = browser.post(f"/api/api-keys/{key}/rotate", json={}).json()
    pages = ("/", "/events", "/keys", "/settings", "/audit", "/prices", "/explore", "/members",
             "/api/api-keys", "/api/audit-log", "/api/stats", "/openapi.json",
             "/api/query?measures=calls&format=csv", f"/api/events/{key}", f"/no/{key}?x=prompt",
             "/api/events?cursor=AAAA")  # fmt: skip
    seen += [browser.get(page).text for page in pages]
    seen.append(browser.delete(f"/api/api-keys/{key}").text)
    seen.append(browser.post("/api/api-keys", json={"name": None}).text)
    return [made["rawKey"], successor["rawKey"]]


def ask_wrongly(running: Any, raw: str) -> list[str]:
    with running.client() as stranger:
        answers = [
            stranger.get("/api/stats", headers={"Authorization": f"Basic {MARK}"}),
            stranger.get("/api/stats", headers={"Authorization": f"Bearer {raw}"}),
            stranger.get("/", headers={"Cookie": f"tokenwatcher_session={MARK}"}),
            stranger.post("/api/auth/login", content=f'{{"password": "{PASSWORD}"'.encode()),
            stranger.post("/api/auth/login", json=[PASSWORD]),
            stranger.get(f"/invitation/{MARK}{MARK}"),
            stranger.get(f"/sign-in/{MARK}{MARK}"),
        ]
    return [answer.text for answer in answers]

"""Every answer carries the headers that keep a browser from being used against its owner."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Browser = Callable[[], httpx.Client]
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
REQUESTS = [
    ("GET", "/login", 200),
    ("GET", "/healthz", 200),
    ("GET", "/api/stats", 401),
    ("GET", "/nowhere/<script>", 404),
    ("PUT", "/healthz", 405),
    ("POST", "/api/auth/login", 400),
    ("POST", "/api/ingest", 401),
    ("DELETE", "/api/ingest", 405),
    ("OPTIONS", "/api/ingest", 204),
    ("POST", "/api/csp-reports", 415),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
def test_every_answer_carries_the_security_headers(
    visitor: Browser, method: str, path: str, status: int
) -> None:
    answer = visitor().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith(POLICY)
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["server"] == "tokenwatcher"
    assert "strict-transport-security" not in answer.headers
    assert "<script>" not in answer.text


def test_what_was_too_large_or_too_often_is_answered_with_them_too(visitor: Browser) -> None:
    browser = visitor()
    type_ = {"Content-Type": "application/reports+json"}
    large = browser.post("/api/csp-reports", content=b"[" * 30_000, headers=type_)
    assert large.status_code == 413
    assert large.headers["connection"] == "close"
    for _ in range(61):
        answer = browser.post("/api/csp-reports", content=b"[]", headers=type_)
    assert answer.status_code == 429
    for one in (large, answer):
        assert one.headers["content-security-policy"].startswith(POLICY)
        assert one.headers["x-content-type-options"] == "nosniff"


def test_an_answer_over_https_says_to_come_by_https_alone(visitor: Browser) -> None:
    browser = visitor()
    for path in ("/login", "/api/stats", "/nowhere", "/api/ingest"):
        answer = browser.post(path, headers={"X-Forwarded-Proto": "https"})
        assert answer.headers["strict-transport-security"] == "max-age=31536000", path


def test_what_is_private_is_kept_by_no_cache(signed_in: Browser) -> None:
    browser = signed_in()
    for path in ("/", "/events", "/keys", "/settings", "/api/stats", "/api/api-keys", "/nowhere"):
        assert browser.get(path).headers["cache-control"] == "no-store", path


def test_pages_alone_say_where_violations_are_reported(visitor: Browser) -> None:
    browser = visitor()
    page, data = browser.get("/login"), browser.get("/healthz")
    assert "report-uri /api/csp-reports" in page.headers["content-security-policy"]
    assert data.headers["content-security-policy"] == POLICY


def test_pages_may_connect_further_where_the_operator_says_so(new_instance: Any) -> None:
    running = new_instance(CSP_CONNECT_SRC="https://api.example.com wss://live.example.com:8443")
    with running.client() as browser:
        policy = browser.get("/login").headers["content-security-policy"]
    assert policy.startswith(POLICY)
    assert "; connect-src 'self' https://api.example.com wss://live.example.com:8443" in policy


def test_a_policy_can_be_tried_out_without_blocking(new_instance: Any) -> None:
    with new_instance(CSP_REPORT_ONLY="true").client() as browser:
        headers = browser.get("/login").headers
    assert "content-security-policy" not in headers
    assert headers["content-security-policy-report-only"].startswith(POLICY)
    assert headers["x-frame-options"] == "DENY"


def report(browser: httpx.Client, **body: str) -> int:
    content = json.dumps([{"type": "csp-violation", "body": body}])
    headers = {"Content-Type": "application/reports+json"}
    return browser.post("/api/csp-reports", content=content, headers=headers).status_code


def test_reported_violations_are_counted_and_nothing_secret_of_them_is_kept(
    door: Any, visitor: Browser, signed_in: Browser
) -> None:
    browser = visitor()
    page = f"{door.url}/invitations/SECRETTOKEN?next=SECRETQUERY"
    blocked = "https://evil.example/SECRETPATH?key=SECRETQUERY"
    old = {"document-uri": page, "violated-directive": "img-src 'self'", "blocked-uri": blocked}
    assert report(
        browser, documentURL=page, blockedURL=blocked, effectiveDirective="script-src-elem"
    ) == 204  # fmt: skip
    sent = browser.post(
        "/api/csp-reports",
        content=json.dumps({"csp-report": old}),
        headers={"Content-Type": "application/csp-report"},
    )
    assert sent.status_code == 204
    assert report(browser, documentURL="https://elsewhere.example/", blockedURL="inline") == 204
    with door.client() as here:
        metrics = here.get("/metrics").text
    assert "tokenwatcher_csp_violations_total 2.0" in metrics
    shown = signed_in().get("/settings/security").text
    for part in ("https://evil.example", "script-src-elem", "/invitations"):
        assert part in shown
    for text in (shown, door.log, metrics):
        assert "SECRET" not in text


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"csp-report": 1}', b"[" * 9000])
def test_a_report_that_cant_be_read_is_refused(visitor: Browser, body: bytes) -> None:
    headers = {"Content-Type": "application/reports+json"}
    assert visitor().post("/api/csp-reports", content=body, headers=headers).status_code == 400

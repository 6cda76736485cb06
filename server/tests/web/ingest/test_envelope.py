"""What is around an event: methods, headers, and the origins of browsers."""

from typing import Any

import httpx
import pytest

from server.tests.web.ingest.sending import assert_problem, event


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_ingest_takes_posts_alone(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/api/ingest")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in response.headers["allow"]


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    for response in (
        client.post("/api/ingest", json=event()),
        client.post("/api/ingest", content=b"{"),
        client.get("/nowhere"),
        client.get("/healthz"),
        client.get("/api/stats"),
    ):
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert len(response.headers.get_list("x-request-id")) == 1
        assert response.headers["server"] == "tokenwatcher"


@pytest.mark.parametrize("given", ["a" * 65, "short", "with space", "<script>", "a;b=c-------"])
def test_a_strange_request_id_is_replaced(client: httpx.Client, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] != given
    kept = client.get("/healthz", headers={"X-Request-Id": "trace-12345678"})
    assert kept.headers["x-request-id"] == "trace-12345678"


def test_no_origin_may_send_unless_it_is_allowed(instance: Any) -> None:
    with instance.client() as browser:
        response = browser.options("/api/ingest", headers={"Origin": "https://evil.example"})
    assert_problem(response, 403, "ORIGIN_NOT_ALLOWED")
    assert "access-control-allow-origin" not in response.headers


FOREIGN_ORIGINS = [
    "https://evil.example",
    "null",
    "https://good.example.evil",
    "https://goodxexample",
    "http://good.example",
    "https://good.example.",
    "https://good.example:8443",
    "x" * 10_000,
]


def test_only_the_very_origin_is_let_in(new_instance: Any) -> None:
    running = new_instance(INGEST_ALLOWED_ORIGINS="https://good.example")
    allowed = {"Origin": "https://good.example"}
    with running.client(running.key()) as browser:
        good = browser.options("/api/ingest", headers=allowed)
        assert good.status_code == 204
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        assert good.headers["vary"] == "Origin"
        refused = browser.post("/api/ingest", content=b"{", headers=allowed)
        assert refused.headers["access-control-allow-origin"] == "https://good.example"
        for origin in FOREIGN_ORIGINS:
            for response in (
                browser.options("/api/ingest", headers={"Origin": origin}),
                browser.post("/api/ingest", json=event(), headers={"Origin": origin}),
            ):
                assert "access-control-allow-origin" not in response.headers


def test_an_origin_of_any_kind_is_let_in_only_where_the_operator_says_so_and_is_warned(
    new_instance: Any,
) -> None:
    running = new_instance(INGEST_ALLOWED_ORIGINS="*")
    assert "pages of every site may send events" in running.log
    with running.client(running.key()) as browser:
        answer = browser.post(
            "/api/ingest", json=event(), headers={"Origin": "https://any.example"}
        )
        assert answer.headers["access-control-allow-origin"] == "https://any.example"
        assert "access-control-allow-credentials" not in answer.headers
        preflight = browser.options("/api/ingest", headers={"Origin": "https://any.example"})
        assert (preflight.status_code, preflight.content) == (204, b"")

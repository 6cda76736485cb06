"""What a body may be: its type, coding and size."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.tests.web.ingest.sending import assert_problem, event


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)
def test_what_is_not_json_is_not_taken_for_it(client: httpx.Client, content_type: str) -> None:
    response = client.post(
        "/api/ingest", content=json.dumps(event()), headers={"Content-Type": content_type}
    )
    assert_problem(response, 415, "NOT_JSON")


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "compress"])
def test_an_unknown_content_coding_is_refused(client: httpx.Client, coding: str) -> None:
    response = client.post(
        "/api/ingest",
        content=json.dumps(event()),
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
    )
    assert_problem(response, 415, "UNSUPPORTED_ENCODING")


def test_a_compressed_body_is_read(client: httpx.Client) -> None:
    response = client.post(
        "/api/ingest",
        content=gzip.compress(json.dumps(event()).encode()),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert response.status_code == 200


def padded(size: int) -> bytes:
    """A good event whose body has exactly this many bytes."""
    body = json.dumps(event())[:-1] + ', "unknown": "'
    return (body + "x" * (size - len(body) - 2) + '"}').encode()


def chunks(body: bytes) -> Callable[[], Any]:
    def pieces() -> Any:
        for start in range(0, len(body), 64_000):
            yield body[start : start + 64_000]

    return pieces


def test_the_size_limit_is_exact_whether_the_length_is_told_or_not(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for size, status in ((999_999, 200), (1_000_000, 200), (1_000_001, 413)):
        body = padded(size)
        assert client.post("/api/ingest", content=body, headers=headers).status_code == status
        body = padded(size)
        chunked = client.post("/api/ingest", content=chunks(body)(), headers=headers)
        assert chunked.status_code == status


def test_a_sender_hears_when_a_body_left_unread_ends_the_connection(instance: Any) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer tw_live_unknown"}
    with instance.client(None) as client:
        long = client.post("/api/ingest", content=padded(500_000), headers=headers)
        assert_problem(long, 401, "UNAUTHENTICATED")
        assert long.headers["Connection"] == "close"
        in_chunks = client.post("/api/ingest", content=chunks(padded(500_000))(), headers=headers)
        assert in_chunks.headers["Connection"] == "close"


def test_a_bomb_is_refused_by_its_decompressed_size(client: httpx.Client) -> None:
    response = client.post(
        "/api/ingest/batch",
        content=gzip.compress(b"[" + b" " * 50_000_000),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert_problem(response, 413, "BODY_TOO_LARGE")


def test_too_many_events_are_refused_whole(client: httpx.Client) -> None:
    events = [event() for _ in range(1001)]
    response = client.post("/api/ingest/batch", json={"events": events})
    assert_problem(response, 413, "BATCH_TOO_LARGE")
    assert client.post("/api/ingest/batch", json={"events": events[:1000]}).status_code == 200

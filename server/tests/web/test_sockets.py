"""Hostile HTTP on raw sockets: the server answers 4xx or closes, and goes on serving."""

import json
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest


@pytest.fixture(scope="module")
def key(instance: Any) -> str:
    raw: str = instance.key()
    return raw


def talk(instance: Any, data: bytes, *, seconds: float = 3.0) -> bytes:
    """Send bytes, and give everything that comes back until it closes or falls silent."""
    address = urlsplit(instance.url)
    received = b""
    with socket.create_connection((address.hostname, address.port), timeout=seconds) as opened:
        opened.sendall(data)
        try:
            while piece := opened.recv(65_536):
                received += piece
        except (TimeoutError, ConnectionError):
            pass
    return received


def request(key: str, body: bytes, *headers: str) -> bytes:
    lines = [
        "POST /api/ingest HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def event(**fields: Any) -> bytes:
    good = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}
    return json.dumps({**good, **fields}).encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.fixture(autouse=True)
def still_serving(instance: Any) -> Any:
    yield
    with instance.client() as client:
        assert client.get("/readyz").status_code == 200


def test_fifty_pipelined_requests_get_fifty_answers_in_order(instance: Any, key: str) -> None:
    bodies = [event(id=f"pipelined-{time.time_ns()}-{n}") for n in range(50)]
    data = b"".join(request(key, body, f"Content-Length: {len(body)}") for body in bodies)
    answer = talk(instance, data)
    ids = [json.loads(body)["id"] for body in bodies]
    positions = [answer.find(event_id.encode()) for event_id in ids]
    assert answer.count(b"HTTP/1.1 200") == 50
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Content-Length: 3"),
        ("Content-Length: +3",),
        ("Content-Length: -1",),
        ("Content-Length: 0x3",),
        ("Content-Length: 3, 3",),
        ("Content-Length: 1" + "0" * 30,),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding : chunked",),
        (" Transfer-Encoding: chunked",),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
    ],
)
def test_a_length_that_can_be_read_two_ways_is_refused(
    instance: Any, key: str, headers: tuple[str, ...]
) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = talk(instance, request(key, smuggled, *headers), seconds=1.5)
    assert status_of(answer) in {400, 413, 501}
    assert answer.count(b"HTTP/1.1") <= 1


@pytest.mark.parametrize("codings", [("identity", "br"), ("gzip", "gzip"), ("identity", "gzip")])
def test_a_coding_that_is_said_twice_is_refused(
    instance: Any, key: str, codings: tuple[str, str]
) -> None:
    body = event()
    said = [f"Content-Encoding: {coding}" for coding in codings]
    answer = talk(instance, request(key, body, f"Content-Length: {len(body)}", *said), seconds=1.5)
    assert status_of(answer) == 415


def test_a_smuggled_request_is_never_answered(instance: Any, key: str) -> None:
    body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = talk(
        instance,
        request(key, body, f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"),
        seconds=1.5,
    )
    assert answer.count(b"HTTP/1.1") <= 1


@pytest.mark.parametrize(
    "chunks",
    [
        b"ZZ\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc\r\n",
        b"-1\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_a_broken_chunk_is_no_server_error(instance: Any, key: str, chunks: bytes) -> None:
    answer = talk(instance, request(key, chunks, "Transfer-Encoding: chunked"), seconds=1.5)
    assert status_of(answer) == 400


def test_what_comes_after_a_body_changes_nothing(instance: Any, key: str) -> None:
    chunk = b"%x\r\n" % len(event()) + event() + b"\r\n0\r\n"
    trailer = f"Authorization: Bearer {key}\r\nContent-Length: 3\r\n\r\n".encode()
    for sent, status in ((request("nobody", chunk + trailer, "Transfer-Encoding: chunked"), 401),
                         (request(key, chunk + trailer, "Transfer-Encoding: chunked"), 200)):  # fmt: skip
        answer = talk(instance, sent, seconds=1.5)
        assert status_of(answer) == status
        assert answer.count(b"HTTP/1.1") == 1


def test_an_address_with_a_host_of_its_own_is_answered_by_the_host_header(instance: Any) -> None:
    line = b"GET http://evil.example/login HTTP/1.1\r\n"
    for host, status in ((b"localhost", 200), (b"evil.example", 400)):
        answer = talk(instance, line + b"Host: " + host + b"\r\nConnection: close\r\n\r\n")
        assert status_of(answer) == status
        assert b"evil.example" not in answer


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["Host: a", "Host: b"],
        ["Host: user@evil"],
        ["Host: localhost:99999"],
        ["Host: <x>"],
        ["Host: "],
    ],
)
def test_a_request_needs_one_sound_host(instance: Any, hosts: list[str]) -> None:
    head = "\r\n".join(["GET /healthz HTTP/1.1", *hosts, "Connection: close"])
    assert status_of(talk(instance, head.encode() + b"\r\n\r\n", seconds=1.5)) == 400


@pytest.mark.parametrize(
    "line",
    [
        b"GET /healthz HTTP/9.9",
        b"GET /healthz",
        b"get /healthz HTTP/1.1",
        b"X" * 1000 + b" / HTTP/1.1",
        b"CONNECT x:1 HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_a_strange_request_line_is_refused(instance: Any, line: bytes) -> None:
    answer = talk(instance, line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds=1.5)
    assert status_of(answer) in {400, 404, 405, 501, 505}


def test_a_megabyte_of_headers_is_refused(instance: Any) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"
    assert status_of(talk(instance, head)) in {400, 431}


@pytest.mark.slow
@pytest.mark.parametrize("head", [b"", b"POST /api/ingest HTTP/1.1\r\nHost: localhost\r\nX-A: "])
def test_a_sender_that_never_finishes_its_headers_is_cut_off(instance: Any, head: bytes) -> None:
    began = time.monotonic()
    talk(instance, head, seconds=15)
    assert time.monotonic() - began < 13


@pytest.mark.slow
def test_a_kept_connection_may_idle_longer_than_clients_keep_one(instance: Any) -> None:
    address = urlsplit(instance.url)
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=5) as kept:
        for pause in (6.0, 0.0):
            kept.sendall(head)
            assert status_of(kept.recv(65_536)) == 200
            time.sleep(pause)


@pytest.mark.slow
def test_a_body_that_stalls_is_answered_408_and_not_stored(instance: Any, key: str) -> None:
    began = time.monotonic()
    answer = talk(instance, request(key, b'{"provider"', "Content-Length: 500"), seconds=15)
    assert status_of(answer) == 408
    assert time.monotonic() - began < 13


@pytest.mark.slow
def test_a_body_that_drips_has_no_more_time_than_one_that_stalls(instance: Any, key: str) -> None:
    address, began = urlsplit(instance.url), time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=5) as opened:
        opened.sendall(request(key, b"{", "Content-Length: 500"))
        opened.setblocking(False)
        answer = b""
        while not answer and time.monotonic() < began + 15:
            time.sleep(0.5)
            try:
                opened.sendall(b" ")
                answer = opened.recv(65_536)
            except BlockingIOError:
                continue
    assert status_of(answer) == 408
    assert b"connection: close" in answer.lower()


@pytest.mark.slow
def test_a_form_that_stalls_is_answered_408_too(instance: Any) -> None:
    head = (
        b"POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    )
    assert status_of(talk(instance, head, seconds=15)) == 408


def test_a_sender_that_left_before_its_answer_may_send_again(instance: Any, key: str) -> None:
    address = urlsplit(instance.url)
    for number in range(20):
        sent = request(key, body := event(id=f"left-early-{time.time_ns()}-{number}"),
                       f"Content-Length: {len(body)}")  # fmt: skip
        with socket.create_connection((address.hostname, address.port)) as opened:
            opened.sendall(sent)
        answer = talk(instance, sent.replace(b"Host:", b"Connection: close\r\nHost:", 1))
        assert status_of(answer) == 200
        with instance.client(instance.key("--kind", "read")) as reading:
            assert reading.get(f"/api/events/{json.loads(body)['id']}").status_code == 200


def test_a_sender_that_hangs_up_midway_leaves_no_trace(instance: Any, key: str) -> None:
    address = urlsplit(instance.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as opened:
            opened.sendall(request(key, b'{"provider"', "Content-Length: 500"))
    time.sleep(0.2)
    assert "Traceback" not in instance.log

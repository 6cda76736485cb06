"""Sending: each event reaches the server once, whatever the server and the network do."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokenwatcher import Answer, MemoryTransport, TokenWatcher
from tokenwatcher.sender import pause_before
from tokenwatcher.testing import captured_usage
from tokenwatcher.verdict import judge

Watcher = Callable[..., TokenWatcher]


def record(watcher: TokenWatcher, number: int) -> list[str]:
    made = [watcher.track_manual("openai", "gpt-4o", n, 1) for n in range(number)]
    return [event_id for event_id in made if event_id is not None]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenwatcher.sender._FIRST_PAUSE", 0.01)


def test_events_arrive_in_batches_over_one_connection(server: Any, watcher: Watcher) -> None:
    client = watcher(max_batch_size=10)
    made = record(client, 35)
    assert client.flush(5)
    assert server.ids == made
    assert all(len(one["events"]) <= 10 for one in server.requests)
    assert len({one["connection"] for one in server.requests}) == 1
    first = server.requests[0]
    assert first["path"] == "/api/ingest/batch"
    assert first["headers"]["Authorization"].startswith("Bearer tw_test_")
    assert first["headers"]["Content-Type"] == "application/json"
    assert client.stats().sent == 35


def test_batch_goes_out_when_its_time_has_come(server: Any, watcher: Watcher) -> None:
    client = watcher(flush_interval=0.05, max_batch_size=1000)
    record(client, 3)
    deadline = time.monotonic() + 5
    while len(server.ids) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.requests) == 1


def test_flush_does_not_wait_for_the_batch_to_fill(server: Any, watcher: Watcher) -> None:
    client = watcher(flush_interval=60)
    record(client, 3)
    began = time.monotonic()
    assert client.flush(5)
    assert time.monotonic() - began < 2
    assert len(server.ids) == 3


def test_single_events_go_out_one_by_one(server: Any, watcher: Watcher) -> None:
    client = watcher(batch=False)
    made = record(client, 3)
    assert client.flush(5)
    assert server.ids == made
    assert {one["path"] for one in server.requests} == {"/api/ingest"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_passing_trouble_is_retried_with_the_same_ids(
    server: Any, watcher: Watcher, status: int
) -> None:
    server.answer(status)
    server.answer(status)
    client = watcher()
    made = record(client, 5)
    assert client.flush(5)
    assert server.ids == made
    assert [one["status"] for one in server.requests[:2]] == [status] * 2
    stats = client.stats()
    assert (stats.sent, stats.failed, stats.retried) == (5, 0, 2)


def test_retry_after_is_waited_for(server: Any, watcher: Watcher) -> None:
    server.answer(429, Retry_After="1")
    client = watcher()
    record(client, 1)
    began = time.monotonic()
    assert client.flush(5)
    assert time.monotonic() - began >= 0.95


def test_another_server_at_the_address_takes_nothing(server: Any, watcher: Watcher) -> None:
    server.answer(200, "a page of another app")
    client = watcher()
    made = record(client, 3)
    assert client.flush(5)
    assert server.ids[-3:] == made
    assert (client.stats().sent, client.stats().retried) == (3, 1)


def test_transport_that_raises_anything_loses_nothing(
    internal_errors: list[logging.LogRecord],
) -> None:
    class Odd(MemoryTransport):
        def post(self, path: str, body: bytes) -> Answer:
            if not self.posts:
                super().post(path, body)
                raise RuntimeError("Bearer tw_live_0123456789abcdef is no key")
            return super().post(path, body)

    client = TokenWatcher("k", transport=Odd(), flush_interval=0.0)
    record(client, 1)
    assert client.flush(5)
    assert client.stats()[:4] == (0, 1, 0, 0)
    told = internal_errors.pop().getMessage()
    assert "RuntimeError: Bearer *** is no key" in told
    client.shutdown()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 415])
def test_refusal_is_not_retried(server: Any, watcher: Watcher, status: int) -> None:
    server.answer(status, {"error": "No."})
    client = watcher(flush_interval=60.0)  # one batch, however slow this machine is
    record(client, 2)
    assert client.flush(5)
    assert len(server.requests) == 1
    stats = client.stats()
    assert (stats.sent, stats.failed) == (0, 2)
    assert str(status) in (stats.last_error or "")


def test_batch_that_is_too_large_is_halved(server: Any, watcher: Watcher) -> None:
    server.answer(413)
    server.answer(413)
    client = watcher(max_batch_size=8, flush_interval=0.2)
    made = record(client, 8)
    assert client.flush(5)
    assert sorted(server.ids) == sorted(made)
    assert [len(one["events"]) for one in server.requests] == [8, 4, 2, 2, 4]
    assert client.stats().failed == 0


def test_event_that_is_too_large_alone_is_lost_alone(server: Any, watcher: Watcher) -> None:
    for _ in range(2):
        server.answer(413)
    client = watcher(max_batch_size=2, flush_interval=0.2)
    record(client, 2)
    assert client.flush(5)
    assert (client.stats().sent, client.stats().failed) == (1, 1)


@pytest.mark.parametrize("status", [400, 409])
def test_bad_events_are_set_aside_and_the_rest_is_sent(
    server: Any, watcher: Watcher, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    issues = [
        {"path": "events[1].inputTokens", "message": "is too large"},
        {"path": "events[3]", "message": "is used already"},
        {"path": "events[99]", "message": "is not there"},
    ]
    server.answer(status, {"error": "The input has invalid fields.", "issues": issues})
    client = watcher(max_batch_size=5, flush_interval=0.2)
    made = record(client, 5)
    assert client.flush(5)
    assert server.ids == [made[0], made[2], made[4]]
    assert (client.stats().sent, client.stats().failed) == (3, 2)
    assert "events[1].inputTokens: is too large" in caplog.text


def test_refusal_that_names_no_event_loses_the_batch(server: Any, watcher: Watcher) -> None:
    server.answer(400, {"error": "The body is not well-formed."})
    client = watcher()
    record(client, 2)
    assert client.flush(5)
    assert (len(server.requests), client.stats().failed) == (1, 2)


def test_connection_that_the_server_closed_is_opened_again(server: Any, watcher: Watcher) -> None:
    server.answer(200, Connection="close")
    client = watcher()
    for _ in range(3):
        record(client, 1)
        assert client.flush(5)
    assert len(server.ids) == 3
    assert client.stats().retried == 0


def test_server_that_is_away_is_waited_for(watcher: Watcher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    client = watcher(endpoint=f"http://127.0.0.1:{port}", max_retries=3)
    record(client, 4)
    assert client.flush(5)
    stats = client.stats()
    assert (stats.sent, stats.failed, stats.retried) == (0, 4, 3)
    assert "no answer" in (stats.last_error or "")


def test_server_that_is_away_does_not_keep_a_shutdown_waiting(watcher: Watcher) -> None:
    client = watcher(endpoint="http://127.0.0.1:9", max_retries=100)
    record(client, 4)
    time.sleep(0.05)
    began = time.monotonic()
    assert not client.shutdown(0.3)
    assert time.monotonic() - began < 1.5
    assert client.stats().failed == 4


def test_full_queue_keeps_what_it_has_and_counts_what_it_drops(
    server: Any, watcher: Watcher
) -> None:
    server.slow.clear()
    client = watcher(max_queue_size=10, max_batch_size=1, flush_interval=0)
    made = record(client, 1)
    time.sleep(0.2)  # the sender holds the first, and waits for the server
    made += record(client, 15)
    assert len(made) == 11
    server.slow.set()
    assert client.flush(5)
    assert server.ids == made
    assert client.stats().dropped == 5


def test_nothing_is_recorded_after_a_shutdown(server: Any, watcher: Watcher) -> None:
    client = watcher()
    record(client, 2)
    assert client.shutdown(5)
    assert record(client, 1) == []
    assert len(server.ids) == 2
    assert client.stats().dropped == 1
    assert client.shutdown(1)


def test_events_of_a_hundred_threads_arrive_once_each(server: Any, watcher: Watcher) -> None:
    client = watcher()
    made: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        own = record(client, 20)
        with lock:
            made.extend(own)

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(20)
    assert len(made) == 2000
    assert sorted(server.ids) == sorted(made)


def test_flush_tells_when_time_ran_out(server: Any, watcher: Watcher) -> None:
    server.slow.clear()
    client = watcher()
    record(client, 1)
    assert not client.flush(0.05)
    assert client.stats().queued == 1
    server.slow.set()
    assert client.flush(5)


def test_losses_are_told_once_a_minute(
    server: Any, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    client = watcher(batch=False)
    for _ in range(20):
        server.answer(401, {"error": "The key is not valid."})
    record(client, 20)
    assert client.flush(5)
    assert caplog.text.count("The key is not valid") == 1


def test_key_is_in_no_log_line_and_no_repr(
    server: Any, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    key = "tw_live_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    caplog.set_level("DEBUG", "tokenwatcher")
    server.answer(401, {"error": f"The key {key} is not valid."})
    client = watcher(api_key=key, debug=True)
    record(client, 1)
    assert client.flush(5)
    assert key not in caplog.text
    assert "not valid" in caplog.text
    assert key not in f"{client!r} {client.stats()!r} {client.__dict__!r}"
    assert "tw_live_" in repr(client)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(200), "taken"),
        (Answer(204), "taken"),
        (Answer(200, b'{"success": true, "count": 10}'), "taken"),
        (Answer(200, b"<!doctype html><title>Another app</title>"), "again"),
        (Answer(200, b'{"status": "ok"}'), "again"),
        (Answer(200, b"[true]"), "again"),
        (Answer(503), "again"),
        (Answer(413), "halve"),
        (Answer(400, b"<html>"), "refused"),
        (Answer(400, b'{"issues": "none"}'), "refused"),
        (Answer(400, b'{"issues": [1, {"path": 7}]}'), "refused"),
        (Answer(400, b"[" * 100_000), "refused"),
    ],
)
def test_any_answer_has_a_meaning(answer: Answer, kind: str) -> None:
    verdict = judge(answer, 10)
    assert verdict.kind == kind
    assert verdict.bad == frozenset()


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7),
        ("-1", 0),
        ("1e999", 300),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        (None, 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300),
    ],
)
def test_retry_after_is_kept_within_reason(header: str | None, pause: float) -> None:
    assert judge(Answer(429, b"", header), 1).pause == pause


def test_retry_after_may_be_a_date() -> None:
    in_a_minute = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=60), usegmt=True)
    assert 50 < judge(Answer(503, b"", in_a_minute), 1).pause <= 60


def test_pauses_grow_and_are_jittered() -> None:
    assert all(15 <= pause_before(20) <= 30 for _ in range(100))
    assert len({pause_before(3) for _ in range(10)}) > 1


def test_captured_usage_asks_for_exactly_one_event() -> None:
    with captured_usage() as usage, pytest.raises(AssertionError, match="recorded 0"):
        _ = usage.event


def test_memory_transport_answers_as_told() -> None:
    transport = MemoryTransport(answers=[Answer(500)])
    client = TokenWatcher(api_key="k", transport=transport, flush_interval=0.0)
    record(client, 1)
    assert client.flush(5)
    assert len(transport.posts) == 2
    client.shutdown()


def test_certificate_that_nobody_vouches_for_is_refused(watcher: Watcher, tmp_path: Path) -> None:
    """A key and its events go to no one who can't prove who they are."""
    listener = untrusted_listener(tmp_path)
    port = listener.getsockname()[1]
    client = watcher(endpoint=f"https://localhost:{port}", max_retries=0)
    record(client, 1)
    assert client.flush(10)
    listener.close()
    assert client.stats().failed == 1
    assert "SSLCertVerificationError" in (client.stats().last_error or "")


def untrusted_listener(folder: Path) -> socket.socket:
    """A TLS server whose certificate it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        with suppress(OSError):
            raw, _ = listener.accept()
            with suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as secure:
                secure.recv(1)

    threading.Thread(target=greet, daemon=True).start()
    return listener

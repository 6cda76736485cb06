"""A sender that gives up on nothing: each batch is sent, with its ids, until it is acknowledged."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from server.tests.faults.senders import batch

Client = Callable[[], httpx.Client]


def send_all(
    client: Client, batches: int, *, size: int = 100, senders: int = 8, again: float = 0.1
) -> tuple[int, int, int]:
    """Send batches by several senders; `again` is how often one is sent though it was acknowledged.

    Gives the events, the sum of their input tokens, and how often a server said to come back.
    """
    with ThreadPoolExecutor(senders) as threads:
        shares = [batches // senders] * senders
        done = list(threads.map(lambda share: _send(client, share, size, again), shares))
    events, tokens, refused = map(sum, zip(*done, strict=True))
    return events, tokens, refused


def during(harm: Callable[[], None], seconds: float) -> threading.Thread:
    """Do harm again and again for a while, beside what else goes on."""

    def run() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.4)
            harm()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _send(client: Client, batches: int, size: int, again: float) -> tuple[int, int, int]:
    tokens = refused = 0
    for _ in range(batches):
        events = batch(size)
        tokens += sum(event["inputTokens"] for event in events)
        for _ in range(2 if random.random() < again else 1):
            refused += _until_acknowledged(client, events)
    return batches * size, tokens, refused


def _until_acknowledged(client: Client, events: Sequence[dict[str, Any]]) -> int:
    refused = 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with client() as sending:
                answer = sending.post("/api/ingest/batch", json={"events": events})
        except httpx.HTTPError:
            continue
        if answer.status_code == 200:
            return refused
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        refused += 1
        time.sleep(0.05)
    raise AssertionError("a batch was not acknowledged within a minute")


class Persistent:
    """Senders that go on until they are stopped, and take nothing for an answer but 200 and 503."""

    def __init__(self, client: Client, senders: int = 4) -> None:
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._client = client
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(senders)
        self._sending = [self._threads.submit(self._send) for _ in range(senders)]

    def stop(self) -> None:
        """Raises what any of them met: an answer that never came, say."""
        self._stopping.set()
        for sending in self._sending:
            sending.result()
        self._threads.shutdown()

    def _send(self) -> None:
        with self._client() as client:
            while not self._stopping.is_set():
                events = batch(100)
                while True:
                    answer = client.post("/api/ingest/batch", json={"events": events})
                    if answer.status_code == 200:
                        break
                    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
                    assert answer.headers["Retry-After"]
                    self.refused += 1
                    time.sleep(0.05)
                self.acknowledged.update(event["id"] for event in events)

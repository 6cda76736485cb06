"""A server killed under load: everything acknowledged is there, once, and the chain verifies."""

import random
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

ROUNDS = 20
SENDERS = 4


def batch(size: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid4()),
            "provider": "openai",
            "model": "gpt-4o-mini",
            "inputTokens": random.randint(1, 5000),
            "outputTokens": random.randint(1, 500),
            "responseId": f"resp_{uuid.uuid4().hex}",
        }
        for _ in range(size)
    ]


class Senders:
    """Clients that send until the server is gone, and remember what was acknowledged."""

    def __init__(self, client: Callable[[], httpx.Client]) -> None:
        self.acknowledged: dict[str, int] = {}
        self.unanswered: dict[str, int] = {}
        self._client = client
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with self._client() as client:
            while True:
                events = batch(random.choice([1, 10, 100]))
                counts = {event["id"]: event["inputTokens"] for event in events}
                try:
                    response = client.post("/api/ingest/batch", json={"events": events})
                except httpx.HTTPError:
                    self.unanswered.update(counts)
                    return
                assert response.status_code == 200, response.text
                self.acknowledged.update(counts)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive()


def totals(client: httpx.Client) -> tuple[int, int]:
    answer = client.get("/api/query", params={"measures": "calls,inputTokens"}).json()
    row = answer["rows"][0]
    return int(row["calls"]), int(row["inputTokens"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_under_load_lose_and_double_nothing(new_instance: Any) -> None:
    instance = new_instance()
    key, reader = instance.key(), instance.key("--kind", "read")
    acknowledged: dict[str, int] = {}
    unanswered: dict[str, int] = {}
    for _ in range(ROUNDS):
        senders = Senders(lambda: instance.client(key))
        time.sleep(random.uniform(0.05, 0.4))
        instance.kill()
        senders.join()
        acknowledged |= senders.acknowledged
        unanswered |= senders.unanswered
        began = time.monotonic()
        instance.start()
        assert time.monotonic() - began < 10
    with instance.client(reader) as client:
        calls, tokens = totals(client)
        stored = stored_ids(client)
    assert len(stored) == len(set(stored)) == calls
    extra = unanswered.keys() & set(stored)
    missing = acknowledged.keys() - set(stored)
    assert missing == set()
    assert calls == len(acknowledged) + len(extra)
    assert tokens == sum(acknowledged.values()) + sum(unanswered[event_id] for event_id in extra)
    assert instance.cli("store", "verify")["sound"] is True


def stored_ids(client: httpx.Client) -> list[str]:
    """Every stored event's id, page by page."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/events", params={"limit": "500", **cursor}).json()
        ids += [event["id"] for event in page["events"]]
        if page["nextCursor"] is None:
            return ids
        cursor = {"cursor": page["nextCursor"]}


@pytest.mark.slow
def test_a_stop_under_load_loses_nothing_acknowledged(new_instance: Any) -> None:
    instance = new_instance()
    key, reader = instance.key(), instance.key("--kind", "read")
    senders = Senders(lambda: instance.client(key))
    time.sleep(0.5)
    began = time.monotonic()
    assert instance.stop() == 0
    assert time.monotonic() - began < 5
    senders.join()
    instance.start()
    with instance.client(reader) as client:
        calls, _ = totals(client)
    assert len(senders.acknowledged) <= calls
    assert calls <= len(senders.acknowledged) + len(senders.unanswered)

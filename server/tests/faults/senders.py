"""Clients that send without a pause, and remember what was acknowledged to them."""

import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

import httpx

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

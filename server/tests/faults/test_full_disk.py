"""A full disk: 503 with Retry-After, reads go on, and room makes it work again by itself."""

import os
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest


def events() -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid4()),
            "provider": "openai",
            "model": "gpt-4o",
            "inputTokens": 1,
            "outputTokens": 1,
            "userId": uuid.uuid4().hex,
            "tags": {uuid.uuid4().hex: uuid.uuid4().hex * 8 for _ in range(5)},
        }
        for _ in range(200)
    ]


def count(reading: httpx.Client) -> int:
    response = reading.get("/api/stats")
    assert response.status_code == 200, response.text
    return int(response.json()["overview"]["callCount"])


@pytest.mark.slow
def test_a_disk_that_fills_up_takes_nothing_more_and_still_answers_questions(
    small_disk: Path, new_instance: Any
) -> None:
    instance = new_instance(str(small_disk / "data"))
    reader, acknowledged = instance.key("--kind", "read"), 0
    with instance.client(instance.key()) as writing, instance.client(reader) as reading:
        for _ in range(2_000):
            response = writing.post("/api/ingest/batch", json={"events": events()})
            if response.status_code != 200:
                break
            acknowledged += 200
        assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
        assert acknowledged > 10_000
        assert count(reading) == acknowledged
        newest = reading.get("/api/events").json()["events"]
        assert len(newest) == 50
        assert reading.get("/healthz").status_code == 200
        assert count(reading) == acknowledged
    assert instance.cli("store", "verify")["events"] == acknowledged


@pytest.mark.slow
def test_a_full_disk_refuses_and_recovers(small_disk: Path, new_instance: Any) -> None:
    instance = new_instance(str(small_disk / "data"))
    ballast = small_disk / "ballast"
    key, reader = instance.key(), instance.key("--kind", "read")
    acknowledged = 0
    with instance.client(key) as writing, instance.client(reader) as reading:
        assert writing.post("/api/ingest/batch", json={"events": events()}).status_code == 200
        acknowledged += 200
        free = os.statvfs(small_disk)
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 1_500_000)))
        refused = None
        for _ in range(200):
            response = writing.post("/api/ingest/batch", json={"events": events()})
            if response.status_code != 200:
                refused = response
                break
            acknowledged += 200
        assert refused is not None
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert count(reading) == acknowledged
        ballast.unlink()
        time.sleep(2)
        assert writing.post("/api/ingest/batch", json={"events": events()}).status_code == 200
        assert count(reading) == acknowledged + 200
    assert instance.cli("store", "verify")["sound"] is True

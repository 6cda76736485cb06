"""A full disk: 503 with Retry-After, reads go on, and room makes it work again by itself."""

import asyncio
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.faults.writes_until_killed import BATCH, batch, question
from tokenwatcher_server.events.store import EventStore, StoreRefused, StoreUnavailable
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.embedded import columns, journal
from tokenwatcher_server.stores.embedded.last_commit import LastCommit, last_commit


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


def test_columns_that_others_left_no_room_for_go_on_once_there_is_some(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB gives a file up that it could not write: it has to be opened again."""
    monkeypatch.setattr(columns, "FOLDED_IN_ROWS", BATCH)
    monkeypatch.setattr(journal, "RESERVE_BYTES", 0)

    async def work() -> None:
        store = await open_store(None, small_disk / "data", SystemClock())
        acknowledged = BATCH
        try:
            await store.append([batch(0)])
            assert await _calls(store) == acknowledged
            _fill(small_disk / "ballast", but=400_000)
            for number in range(1, 4):
                with suppress(StoreUnavailable):
                    await store.append([batch(number)])
                    acknowledged += BATCH
            assert acknowledged > BATCH
            with suppress(StoreUnavailable):
                assert await _calls(store) == acknowledged
            (small_disk / "ballast").unlink()
            while True:
                with suppress(StoreUnavailable):
                    assert await _calls(store) == acknowledged
                    break
                await asyncio.sleep(0.2)
            assert (await store.verify()).sound
        finally:
            await store.close()

    asyncio.run(work())


def test_a_start_on_a_full_disk_asks_for_room_and_works_with_it(small_disk: Path) -> None:
    data = small_disk / "data"
    data.mkdir()

    async def work() -> None:
        store = await open_store(None, data, SystemClock())
        try:
            await store.append([batch(1)])
        finally:
            await store.close()

    asyncio.run(work())
    _fill(small_disk / "ballast", but=0)
    with pytest.raises(StoreRefused, match=r"journal\.db can't be opened .* make room on its disk"):
        asyncio.run(work())
    (small_disk / "ballast").unlink()
    asyncio.run(work())


def test_the_note_of_the_last_commit_stops_no_start(small_disk: Path) -> None:
    _fill(small_disk / "ballast", but=0)
    note = LastCommit(small_disk)
    note.note(7)
    note.close()
    assert last_commit(small_disk) == 0
    (small_disk / "ballast").unlink()
    note = LastCommit(small_disk)
    note.note(7)
    note.close()
    assert last_commit(small_disk) == 7


def _fill(path: Path, *, but: int) -> None:
    with path.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(100_000))
        file.truncate(file.tell() - but)


async def _calls(store: EventStore) -> int:
    [[row]] = await store.usage([question()])
    return int(row.values[0] or 0)

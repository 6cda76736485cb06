"""Killed anywhere in an erasure, the store finishes it at the next start, and loses nothing."""

import asyncio
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from server.tests.faults.erases_until_killed import BATCHES, HERS, batch_of
from server.tests.faults.writes_until_killed import BATCH, EVER, WORKSPACE, question
from tokenwatcher_server.events.query import EventFilter, Scope
from tokenwatcher_server.events.store import Stored
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_history, open_store

ROOT = Path(__file__).parents[3]
STORE = "tokenwatcher_server.stores.embedded"
PLACES = [
    (f"{STORE}.journal:Journal.begin_erasure", "after", 1),
    (f"{STORE}.journal:Journal.commit_erasure", "after", 1),
    (f"{STORE}.journal:Journal.commit_erasure", "before", 3),
    (f"{STORE}.journal:Journal.commit_erasure", "after", 4),  # of the events
    (f"{STORE}.journal:Journal.commit_erasure", "after", 5),  # of their later prices
    (f"{STORE}.renewal:fill", "before", 1),
    (f"{STORE}.renewal:fill", "after", 2),
    (f"{STORE}.columns:remove_columns", "after", 1),
    (f"{STORE}.columns:Columns.take_over", "after", 1),
    (f"{STORE}.response_index:shutil.rmtree", "after", 1),
    (f"{STORE}.response_index:ResponseIndex.take_over", "after", 1),
    (f"{STORE}.journal_file:write_anew", "after", 1),
    (f"{STORE}.journal_file:fold_in", "after", 1),
    (f"{STORE}.journal_file:fold_in", "before", 2),
    (f"{STORE}.journal:Journal.end_erasure", "after", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "when", "calls"), PLACES)
def test_a_killed_erasure_is_finished_at_the_next_start(
    tmp_path: Path, place: str, when: str, calls: int
) -> None:
    folder = tmp_path / "data"
    command = [sys.executable, "-m", "server.tests.faults.erases_until_killed", str(folder)]
    done = subprocess.run([*command, place, when, str(calls)], check=False, timeout=120, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL

    asyncio.run(is_as_it_should_be(folder))
    with closing(open_history(None, folder)) as history:
        repriced = [each.event_id for commit in history.repricings() for each in commit]
        known = {each.event.id for commit in history.commits() for each in commit}
    assert repriced
    assert set(repriced) <= known
    for path in folder.rglob("*"):
        assert not path.is_file() or b"ann" not in path.read_bytes(), path


async def is_as_it_should_be(folder: Path) -> None:
    store = await open_store(None, folder, SystemClock())
    try:
        [[row]] = await store.usage([question()])
        expected = [
            number
            for number in range(1, BATCHES + 1)
            for priced in batch_of(number)
            if priced.event.user_id == "ben"
        ]
        assert row.values == (len(expected), sum(expected), sum(expected))
        listed = EventFilter(scope=Scope((WORKSPACE,)), period=EVER, limit=10_000)
        users = {each.priced.event.user_id for each in await store.events(listed)}
        assert users == {"ben"}
        verified = await store.verify()
        assert verified.sound, verified.faults
        assert verified.events == len(expected)
        for number in range(1, BATCHES + 1):  # Ben's are known, and Ann's never come back
            assert await store.append([batch_of(number)]) == [Stored(frozenset(range(BATCH)))]
        assert await store.erase([HERS]) == [0]
    finally:
        await store.close()

"""Kills aimed at a commit, at the columns' transaction and at the writing of their file.

Nothing is lost, nothing doubled.
"""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.tests.faults.writes_until_killed import BATCH, batch, question
from tokenwatcher_server.events.store import EventStore, Stored, Verification
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store

WRITER = Path(__file__).with_name("writes_until_killed.py")
ROUNDS = 10


def killed(folder: Path, first: int, aim: str, after_seconds: float) -> tuple[int, int]:
    """Let a writer go on from a batch, and kill it so soon after it says the wanted thing again.

    Gives the numbers of the last batch it acknowledged and of the last it began.
    """
    command = [sys.executable, str(WRITER), str(folder), str(first)]
    acknowledged, begun, aims = first - 1, first - 1, 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            said, number = line.split()
            if said == "committing":
                begun = int(number)
            elif said == "acknowledged":
                acknowledged = int(number)
            aims += said == aim
            if aims == 3 and writer.poll() is None:
                time.sleep(after_seconds)
                writer.kill()
    return acknowledged, begun


async def state(folder: Path) -> tuple[tuple[float | int | None, ...], Verification]:
    store: EventStore = await open_store(None, folder, SystemClock())
    try:
        [[row]] = await store.usage([question()])
        return row.values, await store.verify()
    finally:
        await store.close()


async def stored_batches(folder: Path, upto: int) -> list[int]:
    """Which batches the journal holds whole: a retry of those is nothing but duplicates."""
    store = await open_store(None, folder, SystemClock())
    try:
        outcomes = [(await store.append([batch(number)]))[0] for number in range(1, upto + 1)]
    finally:
        await store.close()
    whole = Stored(frozenset(range(BATCH)))
    return [number for number, outcome in enumerate(outcomes, 1) if outcome == whole]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("aim", "longest"), [("committing", 0.004), ("applying", 0.03), ("folding", 0.03)]
)
def test_kills_in_a_commit_and_in_the_columns_lose_and_double_nothing(
    tmp_path: Path, aim: str, longest: float
) -> None:
    folder = tmp_path / "data"
    next_batch = 1
    for _ in range(ROUNDS):
        acknowledged, begun = killed(folder, next_batch, aim, random.uniform(0, longest))
        assert acknowledged >= next_batch
        (calls, tokens, cost), verification = asyncio.run(state(folder))
        assert verification.sound, verification.faults
        assert calls in {acknowledged * BATCH, begun * BATCH}
        held = int(calls) // BATCH
        assert tokens == cost == BATCH * held * (held + 1) // 2
        next_batch = held + 1
    assert asyncio.run(stored_batches(folder, next_batch)) == list(range(1, next_batch))

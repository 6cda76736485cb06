"""A disk that gives back other bytes: it is said which file is damaged, and what mends it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest

from tokenwatcher_server.events.store import EventStore, StoreRefused, StoreUnavailable
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.stores import open_store, rebuild_store
from tokenwatcher_server.stores.embedded.applier import Applier
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.files import files_of
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader

BLOCK_BYTES = 262_144
FIRST_BLOCK = 12_288
T = TypeVar("T")


def on(folder: Path, work: Callable[[EventStore], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await open_store(None, folder, FrozenClock(1_800_000_000_000_000))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def flip(file: Path, start: int) -> None:
    content = bytearray(file.read_bytes())
    for place in range(start, start + 64):
        content[place] ^= 0xFF
    file.write_bytes(content)


@pytest.fixture
def filled(tmp_path: Path, cast: Any) -> Path:
    on(tmp_path, lambda store: store.append([[cast.event() for _ in range(50)]]))
    return tmp_path


def damage_columns(folder: Path) -> None:
    """Turn bytes over where a column of the events lies."""
    file = folder / "events.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("checkpoint")
        [block] = connection.execute(
            "select max(block_id) from pragma_storage_info('events') where column_name = 'model'"
        ).fetchall()
    flip(file, FIRST_BLOCK + BLOCK_BYTES * int(block[0]) + 100)


def damage_journal(folder: Path, table: str) -> None:
    """Turn bytes over at the head of a page of the table."""
    file = folder / "journal.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        [size] = connection.execute("pragma page_size").fetchone()
        root = "select rootpage from sqlite_master where name = ?"
        [page] = connection.execute(root, (table,)).fetchone()
    flip(file, (page - 1) * size)


def test_damaged_columns_answer_nothing_rather_than_something_and_are_made_anew(
    filled: Path, cast: Any
) -> None:
    damage_columns(filled)
    wanted = cast.list()

    async def work(store: EventStore) -> None:
        with pytest.raises(StoreUnavailable, match=r"events\.duckdb can't be read.*store rebuild"):
            await store.events(wanted)
        found = await store.verify()
        assert not found.sound
        assert "events.duckdb can't be read" in found.faults[-1]

    on(filled, work)
    assert rebuild_store(filled, lambda *_: None) == 50
    assert len(on(filled, lambda store: store.events(wanted))) == 50
    assert on(filled, lambda store: store.verify()).sound


def test_a_damaged_journal_is_named_by_a_check(filled: Path) -> None:
    damage_journal(filled, "ids")
    found = on(filled, lambda store: store.verify())
    assert not found.sound
    assert "journal.db can't be read" in found.faults[-1]
    assert "backup" in found.faults[-1]


def test_columns_are_not_made_anew_from_a_journal_that_cant_be_read(filled: Path) -> None:
    damage_journal(filled, "workspaces")
    before = (filled / "events.duckdb").read_bytes()
    with pytest.raises(StoreUnavailable, match=r"journal\.db can't be read"):
        rebuild_store(filled, lambda *_: None)
    assert (filled / "events.duckdb").read_bytes() == before


def change_commit(folder: Path, sequence: int, place: float) -> None:
    """Turn one bit of a commit over, so far along in its bytes."""
    with closing(sqlite3.connect(folder / "journal.db")) as journal:
        [(body,)] = journal.execute(
            "select body from segments where sequence = ?", (sequence,)
        ).fetchall()
        at = int(len(body) * place)
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        journal.execute("update segments set body = ? where sequence = ?", (changed, sequence))
        journal.commit()


def test_a_changed_commit_that_a_killed_server_left_to_apply_gets_into_no_sum(
    filled: Path, cast: Any
) -> None:
    files = files_of(filled)
    before = files.columns.read_bytes()
    on(filled, lambda store: store.append([[cast.event() for _ in range(50)]]))
    files.columns.write_bytes(before)  # as if killed between the acknowledgement and the columns
    change_commit(filled, 2, 0.6)
    with pytest.raises(StoreRefused, match=r"commit 2 in journal\.db is not as it was"):
        on(filled, lambda store: store.events(cast.list()))
    with (
        closing(Columns(files.columns, files.spill, threads=1)) as columns,
        closing(JournalReader(files.journal)) as journal,
        closing(Applier(columns, journal)) as applier,
    ):
        with pytest.raises(StoreUnavailable, match=r"commit 2 in journal\.db is not as it was"):
            applier.wait_for(2, seconds=60)
        assert columns.applied.total == 50


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_nothing_is_made_anew_of_a_commit_that_was_changed(
    filled: Path, cast: Any, place: float
) -> None:
    on(filled, lambda store: store.append([[cast.event() for _ in range(50)]]))
    change_commit(filled, 2, place)
    with pytest.raises(StoreUnavailable, match=r"commit 2 in journal\.db is not as it was"):
        rebuild_store(filled, lambda *_: None)
    (filled / "events.duckdb").unlink()
    with pytest.raises(StoreRefused, match=r"commit 2 in journal\.db is not as it was"):
        on(filled, lambda store: store.events(cast.list()))

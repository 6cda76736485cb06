"""What was acknowledged can be checked, and what is derived can be made anew."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tokenwatcher_server.events.event import Cost
from tokenwatcher_server.events.store import EventStore, Repricing, StoreRefused, Verification
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.stores import open_store, rebuild_store

T = TypeVar("T")


def on(folder: Path, work: Callable[[EventStore], Awaitable[T]]) -> T:
    async def run() -> T:
        store = await open_store(None, folder, FrozenClock(1_800_000_000_000_000))
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def filled(folder: Path, cast: Any) -> list[Any]:
    """Three commits: events, events of which one has a made-up id, and a repricing."""
    first = [cast.event(response_id=f"answer-number-{n:06}") for n in range(50)]
    second = [cast.event(id=f"named-{n:04}", cost=cast.unpriced()) for n in range(5)]

    async def work(store: EventStore) -> None:
        await store.append([first])
        await store.append([second])
        cost = Cost(total=77, buckets=Tokens(input_text=77))
        assert await store.reprice([Repricing(cast.alice, "named-0001", cost)]) == 1

    on(folder, work)
    return [*first, *second]


def verified(folder: Path) -> Verification:
    return on(folder, lambda store: store.verify())


def answers(folder: Path, cast: Any) -> Any:
    query = cast.query("calls", "cost", "input_tokens", "unpriced", group_by=cast.by("model"))

    async def work(store: EventStore) -> Any:
        return await store.usage([query]), await store.tag_keys(cast.scope)

    return on(folder, work)


def test_a_sound_store_says_so(tmp_path: Path, cast: Any) -> None:
    filled(tmp_path, cast)
    assert verified(tmp_path) == Verification(sound=True, events=55, commits=3)


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_one_flipped_byte_is_found_and_its_commit_named(
    tmp_path: Path, cast: Any, commit: int
) -> None:
    filled(tmp_path, cast)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        [(body,)] = journal.execute("select body from segments where sequence = ?", (commit,))
        flipped = body[:-1] + bytes([body[-1] ^ 1])
        journal.execute("update segments set body = ? where sequence = ?", (flipped, commit))
        journal.commit()
    found = verified(tmp_path)
    assert not found.sound
    assert f"commit {commit}:" in found.faults[0]


def test_a_lost_commit_is_found(tmp_path: Path, cast: Any) -> None:
    filled(tmp_path, cast)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        journal.execute("delete from segments where sequence = 2")
        journal.commit()
    assert "2, is missing" in verified(tmp_path).faults[0]


def test_a_lost_id_is_found(tmp_path: Path, cast: Any) -> None:
    filled(tmp_path, cast)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as journal:
        journal.execute("delete from ids where sequence = 2")
        journal.commit()
    assert "5 of its ids are not known" in verified(tmp_path).faults[0]


def test_what_is_made_anew_answers_as_before(tmp_path: Path, cast: Any) -> None:
    events = filled(tmp_path, cast)
    before = answers(tmp_path, cast)
    heard: list[tuple[int, int]] = []
    assert rebuild_store(tmp_path, lambda done, total: heard.append((done, total))) == 55
    assert heard[-1] == (55, 55)
    assert answers(tmp_path, cast) == before
    assert verified(tmp_path).sound

    async def again(store: EventStore) -> Any:
        return await store.append([events[:50]])

    [outcome] = on(tmp_path, again)
    assert outcome.duplicates == frozenset(range(50))


@pytest.mark.parametrize("damage", ["lost", "overwritten", "an older version"])
def test_columns_that_cant_be_used_are_made_anew_by_themselves(
    tmp_path: Path, cast: Any, damage: str
) -> None:
    filled(tmp_path, cast)
    before = answers(tmp_path, cast)
    columns = tmp_path / "events.duckdb"
    if damage == "lost":
        columns.unlink()
    elif damage == "overwritten":
        columns.write_bytes(b"no database" * 5000)
    else:
        import duckdb

        with duckdb.connect(str(columns)) as connection:
            connection.execute("update about set version = 0")
    assert answers(tmp_path, cast) == before
    assert verified(tmp_path).sound


def test_a_rebuild_beside_a_running_server_is_refused(tmp_path: Path, cast: Any) -> None:
    filled(tmp_path, cast)

    async def work(_: EventStore) -> None:
        with pytest.raises(StoreRefused, match="running"):
            rebuild_store(tmp_path, lambda *_: None)

    on(tmp_path, work)


def test_a_journal_of_a_newer_version_is_refused_and_untouched(tmp_path: Path, cast: Any) -> None:
    filled(tmp_path, cast)
    journal = tmp_path / "journal.db"
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.execute("pragma user_version = 99")
    before = journal.read_bytes()
    with pytest.raises(StoreRefused, match="newer"):
        verified(tmp_path)
    assert journal.read_bytes() == before


def test_a_folder_without_a_journal_has_nothing_to_rebuild(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="no journal"):
        rebuild_store(tmp_path, lambda *_: None)

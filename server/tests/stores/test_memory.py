"""What the store keeps in memory does not grow with what it holds."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.columns import Columns, Snapshot
from tokenwatcher_server.stores.embedded.columns_file import Cursor, open_file
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.prepare import prepare, read
from tokenwatcher_server.stores.embedded.response_index import RUN_ROWS, ResponseIndex

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")


def _mapped_kb(file: Path) -> int:
    """How much of a file is in this process's memory."""
    parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.M)
    sizes = [re.search(r"^Rss: +(\d+)", part, re.M) for part in parts if str(file) in part]
    return sum(int(size[1]) for size in sizes if size)


@LINUX
def test_a_search_among_old_answers_leaves_none_of_them_in_memory(tmp_path: Path) -> None:
    known = [os.urandom(12) for _ in range(RUN_ROWS)]
    with closing(ResponseIndex(tmp_path, lambda _: None)) as index:
        index.add(known, sequence=1, chain_hash=bytes(32), rows=RUN_ROWS)
    with closing(ResponseIndex(tmp_path, lambda _: bytes(32))) as index:
        asked = [os.urandom(12) for _ in range(1_000)]
        assert index.find([*asked, *known[:1_000]]) == set(known[:1_000])
        [run] = tmp_path.glob("*.run")
        assert run.stat().st_size > 12 * RUN_ROWS
        assert _mapped_kb(run) == 0


BATCHES, EVENTS = 12, 20


@contextmanager
def applying(embedded: Any, cast: Any, folder: Path) -> Iterator[tuple[Columns, list[Link]]]:
    """Empty columns, and the commits of a journal to apply to them."""

    async def append(store: EventStore) -> None:
        for _ in range(BATCHES):
            await store.append([[cast.event(tags={"team": "a"}) for _ in range(EVENTS)]])

    embedded.run(append)
    with (
        closing(JournalReader(embedded.data_dir / "journal.db")) as journal,
        closing(Columns(folder / "new.duckdb", folder / "tmp", threads=1)) as columns,
    ):
        yield columns, list(journal.links(0))


def count(snapshot: Snapshot) -> int:
    [(events,)] = snapshot.rows("select count(*) from events")
    return int(events)


def test_events_that_come_a_few_at_a_time_do_not_leave_a_row_group_each(
    embedded: Any, cast: Any, tmp_path: Path
) -> None:
    """DuckDB keeps something in memory for each piece of a column, however few rows it has."""
    with applying(embedded, cast, tmp_path) as (columns, links):
        for link in links:
            columns.apply(prepare(read([link]), columns.tag_slots))
            columns.fold_in(always=True)
        with columns.snapshot() as snapshot:
            assert count(snapshot) == BATCHES * EVENTS
            for table in ("events", "hours", "tag_hours"):
                [(groups,)] = snapshot.rows(
                    f"select count(distinct row_group_id) from pragma_storage_info('{table}')"
                )
                assert groups <= 2, table


def test_the_columns_are_opened_again_now_and_then_but_under_no_question(
    embedded: Any, cast: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counted(path: Path, spill: Path, threads: int) -> Cursor:
        opened.append(path)
        return open_file(path, spill, threads)

    columns_module = "tokenwatcher_server.stores.embedded.columns"
    monkeypatch.setattr(f"{columns_module}.REOPENED_ROWS", 2 * EVENTS)
    monkeypatch.setattr(f"{columns_module}.open_file", counted)
    with applying(embedded, cast, tmp_path) as (columns, links):
        for number, link in enumerate(links, 1):
            columns.apply(prepare(read([link]), columns.tag_slots))
            with columns.snapshot() as asked:
                before = len(opened)
                columns.fold_in(always=True)
                assert count(asked) == number * EVENTS
                assert len(opened) == before
            columns.fold_in(always=True)
            with columns.snapshot() as asked:
                assert count(asked) == number * EVENTS
        assert opened[-1].name == "new.duckdb"
        assert opened.count(opened[-1]) == 1 + BATCHES // 2

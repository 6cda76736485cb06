"""The columns: a DuckDB file that answers queries, applied from the journal.

It holds nothing of its own: lost, damaged or of an older version, it is made anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from tokenwatcher_server.events.store import QUESTION_SECONDS, QuestionTooLong
from tokenwatcher_server.stores import arrow
from tokenwatcher_server.stores.embedded import columns_file, hours
from tokenwatcher_server.stores.embedded.columns_file import (
    Cursor,
    cursor_of,
    open_file,
    remove_columns,
)
from tokenwatcher_server.stores.embedded.prepare import Applied, Prepared
from tokenwatcher_server.stores.embedded.shared_lock import SharedLock
from tokenwatcher_server.stores.embedded.stamp import VERSION, ColumnsUnusable, stamp_of
from tokenwatcher_server.stores.embedded.step import EventStep, Table
from tokenwatcher_server.stores.embedded.time_limit import TimeLimit
from tokenwatcher_server.stores.schema import PRICE_COLUMNS

FOLDED_IN_ROWS = 110_000
"""Rows after which the file is written: nearly one whole row group of DuckDB's."""
FOLDED_IN_SEGMENTS = 8_000
"""Segments after which it is too: a start after a crash reads them again."""
FOLDED_IN_MB = 96
"""How large rows grow in memory before it is: long texts take much of what DuckDB may have."""

REOPENED_ROWS = 1_000_000
"""Rows after which the file is opened again: DuckDB keeps something in memory for each piece of a
column that it wrote, and forgets it only then."""


class Snapshot(msgspec.Struct, frozen=True):
    """A cursor whose statements all see the same events, and their tag keys' own columns."""

    cursor: Cursor
    tag_slots: dict[str, int]
    summed_slots: frozenset[int]
    """Those of the slots whose values have hourly sums."""

    def rows(self, text: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.cursor.execute(text, list(values)).fetchall()


class Columns:
    """One open columns file. `apply` is for one thread; `snapshot` is for any.

    Raises ColumnsUnusable for a file that is not one of this version's.
    """

    def __init__(
        self, path: Path, spill: Path, *, threads: int, question_seconds: float = QUESTION_SECONDS
    ) -> None:
        self._path, self._spill, self._threads = path, spill, threads
        self._open()
        self._users = SharedLock()
        self._time_limit = TimeLimit(question_seconds)

    def _open(self) -> None:
        self._connection = open_file(self._path, self._spill, self._threads)
        try:
            self.applied, self._tag_slots = _read_state(self._connection)
            self._merged, self._unmerged = hours.count(self._connection), 0
        except BaseException:
            self._connection.close()
            raise
        self._opened = self._written = self.applied

    @property
    def tag_slots(self) -> dict[str, int]:
        """The tag keys that have a column of their own, and which."""
        return self._tag_slots

    def apply(self, prepared: Prepared) -> None:
        """Apply the next segments of the chain, and how far that is, in one transaction.

        It is durable once it is folded in; until then the journal alone is.
        """
        self.load([prepared])

    def load(self, stretch: Iterable[Prepared]) -> None:
        """Like `apply` for one after the other, all in one transaction."""
        cursor = cursor_of(self._connection)
        before, last, added = self.applied.sequence, None, 0
        tags: set[int] = set()
        try:
            cursor.execute("begin")
            for last in stretch:
                added += _apply(cursor, last, before)
                tags |= _tags_in(last)
            if last is not None:
                added += hours.add(cursor, tags, after=before)
                cursor.execute("update applied set sequence = ?, total = ?, hash = ?",
                               list(msgspec.structs.astuple(last.applied)))  # fmt: skip
                merged = self._merge_hours(cursor, added, last.applied.total)
            cursor.execute("commit")
        except BaseException:
            _abandon(cursor)
            raise
        finally:
            cursor.close()
        if last is not None:
            self._tag_slots = last.tag_slots
            self.applied = last.applied
            self._merged, self._unmerged = merged

    def fold_in(self, *, always: bool = False) -> None:
        """Write what was applied to the file, once that is much. For the thread that applies."""
        if always or self._much_is_unwritten():
            columns_file.fold_in(self._connection)
            self._written = self.applied
            self._forget()

    def _forget(self) -> None:
        """Open the file again when it is time, and no question would have to wait."""
        if self.applied.total - self._opened.total < REOPENED_ROWS:
            return
        with self._users.alone_if_free() as free:
            if free:
                merged = self._merged, self._unmerged
                self._connection.close()
                self._open()
                self._merged, self._unmerged = merged

    def _much_is_unwritten(self) -> bool:
        before, now = self._written, self.applied
        if now.total - before.total >= FOLDED_IN_ROWS:
            return True
        if now.sequence - before.sequence >= FOLDED_IN_SEGMENTS:
            return True
        return now.sequence > before.sequence and _unwritten_mb(self._connection) >= FOLDED_IN_MB

    def _merge_hours(self, cursor: Cursor, added: int, events: int) -> tuple[int, int]:
        """Give the rows of the hourly sums as they are merged, and those added since."""
        unmerged = self._unmerged + added
        if unmerged <= max(hours.LEAST_TO_MERGE, self._merged):
            return self._merged, unmerged
        return hours.merge(cursor, events), 0

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """The events of one moment, for questions that may take as long as they need."""
        with self._users.together():
            cursor = cursor_of(self._connection)
            try:
                cursor.execute("begin")
                yield Snapshot(cursor, *_slots(cursor))
                cursor.execute("commit")
            finally:
                cursor.close()

    @contextmanager
    def limited_snapshot(self) -> Iterator["Snapshot"]:
        """The same, for questions of people, who don't wait; raises QuestionTooLong."""
        with self.snapshot() as snapshot, self._time_limit.limited(snapshot.cursor.interrupt):
            try:
                yield snapshot
            except duckdb.InterruptException:
                raise QuestionTooLong from None

    @contextmanager
    def reopened(self) -> Iterator[None]:
        """Go back to what is in the file: DuckDB gives up one that it could not write.

        Questions wait until the block ends, which has to apply again what was applied before.
        """
        with self._users.alone():
            self._connection.close()
            self._open()
            yield

    def take_over(self, path: Path) -> None:
        """Go on with another columns file, which is put in the place of this one.

        Questions wait for it; `apply` must not be called meanwhile.
        """
        with self._users.alone():
            self._connection.close()
            remove_columns(self._path)
            path.replace(self._path)
            self._open()

    def close(self) -> None:
        self._time_limit.close()
        columns_file.close(self._connection)


_INSERT = (
    "insert into events by name select * exclude (shape, tag_set)"
    " from step join shapes using (shape) join tag_sets using (tag_set)"
)
_FIND_REPRICED = (
    "create temp table repriced as select events.rowid as event_row, "
    + ", ".join(f"step.{name}" for name in PRICE_COLUMNS)
    + " from events join step on events.sequence = step.sequence"
    + " and events.workspace_id = step.workspace_id"
    + " and (events.id = step.id::uuid or events.other_id = step.other_id)"
)
_REPRICE = (
    "update events set "
    + ", ".join(f"{name} = repriced.{name}" for name in PRICE_COLUMNS)
    + " from repriced where events.rowid = repriced.event_row"
)


def _read_state(connection: Cursor) -> tuple[Applied, dict[str, int]]:
    stamp = stamp_of(connection)
    if stamp.version != VERSION:
        raise ColumnsUnusable("it is of another version")
    try:
        return stamp.applied, _slots(connection)[0]
    except duckdb.Error as error:
        raise ColumnsUnusable(f"it is not laid out as it should be: {error}") from None


def _unwritten_mb(connection: Cursor) -> int:
    [(size,)] = connection.execute(
        "select sum(memory_usage_bytes + temporary_storage_bytes) // 1000000 from duckdb_memory()"
        " where tag = 'IN_MEMORY_TABLE'"
    ).fetchall()
    return int(size)


def _slots(connection: Cursor) -> tuple[dict[str, int], frozenset[int]]:
    """The tag keys' slots, and those of them that have hourly sums."""
    rows = connection.execute("select key, slot, summed from tag_slots order by slot").fetchall()
    return {key: slot for key, slot, _ in rows}, frozenset(slot for _, slot, has in rows if has)


def _apply(cursor: Cursor, prepared: Prepared, summed: int) -> int:
    """Write what was prepared; gives the rows added to the hourly sums, which know of `summed`."""
    added = 0
    for key, slot in prepared.promoted.items():
        cursor.execute(f"alter table events add column tag_{slot} varchar")
        cursor.execute("insert into tag_slots values (?, ?, true)", [key, slot])
    for step in prepared.steps:
        if isinstance(step, EventStep):
            with _tables(cursor, step=step.rows, shapes=step.shapes, tag_sets=step.tag_sets):
                cursor.execute(_INSERT)
        else:
            with _tables(cursor, step=step):
                cursor.execute(_FIND_REPRICED)
            added += hours.take_repriced(cursor, until=summed)
            cursor.execute(_REPRICE)
            added += hours.add_repriced(cursor, until=summed)
            cursor.execute("drop table repriced")
    return added


def _tags_in(prepared: Prepared) -> set[int]:
    """The slots of the tag keys that these events have."""
    tables = [step.tag_sets for step in prepared.steps if isinstance(step, EventStep)]
    names = {name for table in tables for name in table.columns}
    return {slot for slot in prepared.tag_slots.values() if f"tag_{slot}" in names}


@contextmanager
def _tables(cursor: Cursor, **tables: Table) -> Iterator[None]:
    """Let statements read tables. By their names: a file's variables are out of bounds here."""
    for name, table in tables.items():
        cursor.register(name, arrow.stream(table.rows, table.columns))
    try:
        yield
    finally:
        for name in tables:
            cursor.unregister(name)


def _abandon(cursor: Cursor) -> None:
    with suppress(duckdb.Error):
        cursor.execute("rollback")

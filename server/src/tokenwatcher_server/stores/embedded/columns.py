"""The columns: a DuckDB file that answers queries, applied from the journal.

It holds nothing of its own: lost, damaged or of an older version, it is made anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from tokenwatcher_server.events.store import QUESTION_SECONDS, QuestionTooLong
from tokenwatcher_server.stores import arrow
from tokenwatcher_server.stores.embedded import hours
from tokenwatcher_server.stores.embedded.prepare import Applied, Prepared
from tokenwatcher_server.stores.embedded.shared_lock import SharedLock
from tokenwatcher_server.stores.embedded.stamp import VERSION, ColumnsUnusable, stamp_of
from tokenwatcher_server.stores.embedded.step import EventStep, Table
from tokenwatcher_server.stores.embedded.time_limit import TimeLimit
from tokenwatcher_server.stores.schema import (
    DERIVED_COLUMNS,
    PRICE_COLUMNS,
    STORED_COLUMNS,
)

MEMORY = "192MB"
CHECKPOINT = "32MB"
"""How large DuckDB's own log grows before it is folded in; a start after a crash reads it, and
what is acknowledged meanwhile waits for it."""

Cursor = duckdb.DuckDBPyConnection


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
        self._path, self._settings = path, _config(spill, threads)
        self._open()
        self._users = SharedLock()
        self._time_limit = TimeLimit(question_seconds)

    def _open(self) -> None:
        path = self._path
        fresh = not path.exists()
        try:
            self._connection = duckdb.connect(str(path), config=self._settings)
        except duckdb.Error as error:
            raise ColumnsUnusable(f"it can't be opened: {error}") from None
        try:
            self._connection.execute("set enable_external_access = false")
            self._connection.execute("set lock_configuration = true")
            if fresh:
                path.chmod(0o600)
                _create(self._connection)
            self.applied, self._tag_slots = _read_state(self._connection)
            self._merged, self._unmerged = hours.count(self._connection), 0
        except BaseException:
            self._connection.close()
            raise

    @property
    def tag_slots(self) -> dict[str, int]:
        """The tag keys that have a column of their own, and which."""
        return self._tag_slots

    def apply(self, prepared: Prepared) -> None:
        """Apply the next segments of the chain, and how far that is, in one transaction."""
        self.load([prepared])

    def load(self, stretch: Iterable[Prepared]) -> None:
        """Like `apply` for one after the other, all in one transaction."""
        cursor = self._connection.cursor()
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
            cursor = self._connection.cursor()
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
        self._connection.close()


def remove_columns(path: Path) -> None:
    """Remove a columns file and its log."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)


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


def _config(spill: Path, threads: int) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": str(threads),
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "checkpoint_threshold": CHECKPOINT,
        # folding the log in must not put together anew what lies there: that may be all of it
        "max_vacuum_tasks": "0",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        # a join is written the way it is to be run: rows in their order, the small table hashed;
        # a page of events names its oldest, and planning a second look at each costs more than it
        "disabled_optimizers": "join_order,build_side_probe_side,late_materialization",
    }


def _create(connection: Cursor) -> None:
    columns = [f"{name} {kind}" for name, kind in (STORED_COLUMNS | DERIVED_COLUMNS).items()]
    connection.execute("begin")
    connection.execute(f"create table events ({', '.join(columns)})")
    hours.create(connection)
    connection.execute(package_files(__package__).joinpath("columns.sql").read_text())
    connection.execute("insert into about values (?)", [VERSION])
    connection.execute("commit")


def _read_state(connection: Cursor) -> tuple[Applied, dict[str, int]]:
    stamp = stamp_of(connection)
    if stamp.version != VERSION:
        raise ColumnsUnusable("it is of another version")
    try:
        return stamp.applied, _slots(connection)[0]
    except duckdb.Error as error:
        raise ColumnsUnusable(f"it is not laid out as it should be: {error}") from None


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

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

from tokenwatcher_server.stores.embedded import arrow
from tokenwatcher_server.stores.embedded.prepare import Applied, Prepared
from tokenwatcher_server.stores.embedded.schema import (
    DERIVED_COLUMNS,
    PRICE_COLUMNS,
    STORED_COLUMNS,
)
from tokenwatcher_server.stores.embedded.stamp import VERSION, ColumnsUnusable, stamp_of
from tokenwatcher_server.stores.embedded.step import EventStep, Table

MEMORY = "192MB"
CHECKPOINT = "64MB"
"""How large DuckDB's own log grows before it is folded in; a start after a crash reads it."""

Cursor = duckdb.DuckDBPyConnection


class Snapshot(msgspec.Struct, frozen=True):
    """A cursor whose statements all see the same events, and their tag keys' own columns."""

    cursor: Cursor
    tag_slots: dict[str, int]

    def rows(self, text: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        return self.cursor.execute(text, list(values)).fetchall()


class Columns:
    """One open columns file. `apply` is for one thread; `snapshot` is for any.

    Raises ColumnsUnusable for a file that is not one of this version's.
    """

    def __init__(self, path: Path, spill: Path, *, threads: int) -> None:
        fresh = not path.exists()
        try:
            self._connection = duckdb.connect(str(path), config=_config(spill, threads))
        except duckdb.Error as error:
            raise ColumnsUnusable(f"it can't be opened: {error}") from None
        try:
            self._connection.execute("set enable_external_access = false")
            self._connection.execute("set lock_configuration = true")
            if fresh:
                path.chmod(0o600)
                _create(self._connection)
            self.applied, self._tag_slots = _read_state(self._connection)
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
        last = None
        try:
            cursor.execute("begin")
            for last in stretch:
                _apply(cursor, last)
            if last is not None:
                cursor.execute("update applied set sequence = ?, total = ?, hash = ?",
                               list(msgspec.structs.astuple(last.applied)))  # fmt: skip
            cursor.execute("commit")
        except BaseException:
            _abandon(cursor)
            raise
        finally:
            cursor.close()
        if last is not None:
            self._tag_slots = last.tag_slots
            self.applied = last.applied

    @contextmanager
    def snapshot(self) -> Iterator["Snapshot"]:
        """The events of one moment, for any number of questions."""
        cursor = self._connection.cursor()
        try:
            cursor.execute("begin")
            yield Snapshot(cursor, _tag_slots(cursor))
            cursor.execute("commit")
        finally:
            cursor.close()

    def close(self) -> None:
        self._connection.close()


_INSERT = (
    "insert into events by name select * exclude (shape, tag_set)"
    " from step join shapes using (shape) join tag_sets using (tag_set)"
)
_REPRICE = (
    "update events set "
    + ", ".join(f"{name} = step.{name}" for name in PRICE_COLUMNS)
    + " from step where events.sequence = step.sequence"
    + " and events.workspace_id = step.workspace_id and "
    + "(events.id = step.id::uuid or events.other_id = step.other_id)"
)


def _config(spill: Path, threads: int) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": str(threads),
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "checkpoint_threshold": CHECKPOINT,
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        # a join is written the way it is to be run: rows in their order, the small table hashed
        "disabled_optimizers": "join_order,build_side_probe_side",
    }


def _create(connection: Cursor) -> None:
    columns = [f"{name} {kind}" for name, kind in (STORED_COLUMNS | DERIVED_COLUMNS).items()]
    connection.execute("begin")
    connection.execute(f"create table events ({', '.join(columns)})")
    connection.execute(package_files(__package__).joinpath("columns.sql").read_text())
    connection.execute("insert into about values (?)", [VERSION])
    connection.execute("commit")


def _read_state(connection: Cursor) -> tuple[Applied, dict[str, int]]:
    stamp = stamp_of(connection)
    if stamp.version != VERSION:
        raise ColumnsUnusable("it is of another version")
    try:
        return stamp.applied, _tag_slots(connection)
    except duckdb.Error as error:
        raise ColumnsUnusable(f"it is not laid out as it should be: {error}") from None


def _tag_slots(connection: Cursor) -> dict[str, int]:
    return dict(connection.execute("select key, slot from tag_slots order by slot").fetchall())


def _apply(cursor: Cursor, prepared: Prepared) -> None:
    for key, slot in prepared.promoted.items():
        cursor.execute(f"alter table events add column tag_{slot} varchar")
        cursor.execute("insert into tag_slots values (?, ?)", [key, slot])
    for step in prepared.steps:
        if isinstance(step, EventStep):
            with _tables(cursor, step=step.rows, shapes=step.shapes, tag_sets=step.tag_sets):
                cursor.execute(_INSERT)
        else:
            with _tables(cursor, step=step):
                cursor.execute(_REPRICE)


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

"""The columns' DuckDB file: opened, made where there is none, and removed.

It is written without a log of its own: what it lacks after a crash is in the journal. So it is
at hand by a name of DuckDB's, as only a file that is attached can be without a log.
"""

from contextlib import suppress
from importlib.resources import files as package_files
from pathlib import Path

import duckdb

from tokenwatcher_server.stores.embedded import hours
from tokenwatcher_server.stores.embedded.stamp import VERSION, ColumnsUnusable
from tokenwatcher_server.stores.schema import DERIVED_COLUMNS, STORED_COLUMNS

MEMORY = "192MB"

Cursor = duckdb.DuckDBPyConnection


def open_file(path: Path, spill: Path, threads: int) -> Cursor:
    """Open the file, or make it. Raises ColumnsUnusable where it can't be used."""
    fresh = not path.exists()
    connection = duckdb.connect(config=_config(spill, threads))
    try:
        _attach(connection, path)
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        connection.execute("use columns")
        if fresh:
            path.chmod(0o600)
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def cursor_of(connection: Cursor) -> Cursor:
    """A cursor that looks in the file."""
    cursor = connection.cursor()
    cursor.execute("use columns")
    return cursor


def fold_in(connection: Cursor) -> None:
    """Bring into the file all that was committed, durably."""
    connection.execute("checkpoint columns")


def close(connection: Cursor) -> None:
    """Close the file with all that was committed, as far as its disk takes that."""
    with suppress(duckdb.Error):
        fold_in(connection)
    connection.close()


def remove_columns(path: Path) -> None:
    """Remove a columns file, and the log that older versions wrote."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)


def _attach(connection: Cursor, path: Path) -> None:
    quoted = str(path).replace("'", "''")
    try:
        connection.execute(f"attach '{quoted}' as columns (recovery_mode 'no_wal_writes')")
    except duckdb.Error as error:
        raise ColumnsUnusable(f"it can't be opened: {error}") from None


def _config(spill: Path, threads: int) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": str(threads),
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "checkpoint_threshold": "1TB",  # when that is due is ours to say
        # rows that came a few at a time are put together, but not all there is at once
        "max_vacuum_tasks": "1",
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
    fold_in(connection)

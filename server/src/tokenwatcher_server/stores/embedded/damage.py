"""A file of the store that can't be read: which one it is, and what mends it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from tokenwatcher_server.events.store import StoreUnavailable

REMEDY: Final = "stop the server and run `tokenwatcher store rebuild`"
_OF_COLUMNS = (
    duckdb.IOException,
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.SerializationException,
)
_OF_JOURNAL = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
_PRIMARY_CODE = 0xFF
_PUT_BACK = "put a copy of it back, or restore the newest backup with `tokenwatcher restore`"


def changed(sequence: int) -> StoreUnavailable:
    """What to say of a commit whose bytes are not those that were acknowledged."""
    return StoreUnavailable(
        f"commit {sequence} in journal.db is not as it was acknowledged: {_PUT_BACK}"
    )


@contextmanager
def readable() -> Iterator[None]:
    """Raise StoreUnavailable, which names the file and what mends it, where one can't be read."""
    try:
        yield
    except (duckdb.Error, sqlite3.Error) as error:
        complaint = _complaint(error)
        if complaint is None:
            raise
        raise StoreUnavailable(complaint) from error


def _complaint(error: Exception) -> str | None:
    """None for an error that no damage explains."""
    if isinstance(error, sqlite3.Error):
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE not in _OF_JOURNAL:
            return None
        return f"journal.db can't be read ({error}): {_PUT_BACK}"
    # DuckDB has no class of its own for a block whose checksum is wrong
    if isinstance(error, _OF_COLUMNS) or type(error) is duckdb.Error:
        return f"events.duckdb can't be read ({str(error).partition(chr(10))[0]}): {REMEDY}"
    return None

"""The control database: an engine, and transactions."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tokenwatcher_server.kernel.errors import InstanceRefused, unavailable

FILE_NAME = "control.db"
_READING = "tokenwatcher_reading"


def control_url(database_url: str | None, data_dir: Path) -> str:
    """The URL to open: the operator's, or an SQLite file in the data folder.

    Raises InstanceRefused for a database that this version can't use.
    """
    if database_url is None:
        return f"sqlite+aiosqlite:///{data_dir / FILE_NAME}"
    scheme = database_url.partition(":")[0]
    if scheme != "sqlite+aiosqlite":
        raise InstanceRefused(
            "DATABASE_URL: this version keeps its control data in SQLite and can't use "
            f"{scheme!r}: unset DATABASE_URL, or name a file as sqlite+aiosqlite:///PATH"
        )
    return database_url


class Database:
    """Opens connections to the control data.

    Both kinds of block raise AppError (503) where the database can't work now: its disk is
    full, say, or another process has kept it locked for long.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """To write: commits at the end of the block, rolls back on an error."""
        with _unavailable():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """To read from one snapshot; never waits for a writer and keeps none waiting."""
        with _unavailable():
            async with self._engine.connect() as connection:
                await connection.execution_options(**{_READING: True})
                yield connection

    async def close(self) -> None:
        await self._engine.dispose()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        raise unavailable("The control data can't be used now.", retry_after=5) from error


def _engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True)  # an error may be logged
    if make_url(url).get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
        event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not open transactions by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _on_sqlite_begin(connection: Connection) -> None:
    """Writers take the lock at once: upgrading a read later could fail as busy."""
    reading = connection.get_execution_options().get(_READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

"""The control database: an engine, and transactions. SQLite, or PostgreSQL for several servers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tokenwatcher_server.control.postgres import (
    CLOSE_SECONDS,
    LONGEST_READ_SECONDS,
    LONGEST_WRITE_SECONDS,
    POSTGRES_READING,
    READING,
    has_nul,
    is_passing,
    postgres_engine,
)
from tokenwatcher_server.kernel.errors import InstanceRefused, invalid, unavailable

FILE_NAME = "control.db"


def control_url(database_url: str | None, data_dir: Path) -> str:
    """The URL to open: the operator's, or an SQLite file in the data folder.

    Raises InstanceRefused for a database that this version can't use.
    """
    if database_url is None:
        return f"sqlite+aiosqlite:///{data_dir / FILE_NAME}"
    scheme = database_url.partition(":")[0]
    if scheme not in {"sqlite+aiosqlite", "postgresql"}:
        raise InstanceRefused(
            f"DATABASE_URL: control data can't be kept in {scheme!r}: write it like "
            "postgresql://USER:PASSWORD@HOST/DATABASE, or unset it for a file in the data folder"
        )
    return database_url


class Database:
    """Opens connections to the control data.

    Every kind of block raises AppError (503) where the database can't work now: its disk is
    full, say, it is being restarted, another process has kept it locked for long, or it says
    nothing. What may take long, such as a copy of everything, waits for such a one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._read_seconds: float | None = None
        self._write_seconds: float | None = None
        self._close_seconds: float | None = None
        if url.startswith("postgresql"):
            self.name = "DATABASE_URL: the database"
            self._engine, self._reading = postgres_engine(url), POSTGRES_READING
            self._read_seconds, self._write_seconds = LONGEST_READ_SECONDS, LONGEST_WRITE_SECONDS
            self._close_seconds = CLOSE_SECONDS
        else:
            self.name = f"{FILE_NAME} in the data folder"
            self._engine, self._reading = _sqlite_engine(url), {READING: True}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """To write: commits at the end of the block, rolls back on an error.

        Writers come one after the other, whichever process they are in.
        """
        with _told():
            async with asyncio.timeout(self._write_seconds), self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def long_transaction(self) -> AsyncIterator[AsyncConnection]:
        """To write what may take long."""
        with _told():
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """To read from one snapshot; never waits for a writer and keeps none waiting."""
        with _told():
            async with asyncio.timeout(self._read_seconds), self._snapshot() as connection:
                yield connection

    @asynccontextmanager
    async def long_reading(self) -> AsyncIterator[AsyncConnection]:
        """To read what may take long from one snapshot."""
        with _told():
            async with self._snapshot() as connection:
                yield connection

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await connection.execution_options(**self._reading)
            yield connection

    async def close(self) -> None:
        with suppress(TimeoutError):  # a server that says nothing is left without a goodbye
            async with asyncio.timeout(self._close_seconds):
                await self._engine.dispose()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.OperationalError, TimeoutError) as error:
        known = (OperationalError, sqlite3.OperationalError, TimeoutError)
        if isinstance(error, known) or is_passing(error):
            raise unavailable("The control data can't be used now.", retry_after=5) from error
        if has_nul(error):
            raise invalid("A text has a NUL character, which can't be kept.") from None
        raise


def _sqlite_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True)  # an error may be logged
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
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

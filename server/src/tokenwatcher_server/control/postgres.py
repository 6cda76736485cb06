"""Control data on PostgreSQL, also through PgBouncer in transaction mode."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

READING: Final = "tokenwatcher_reading"
"""The execution option of a transaction that only reads."""
POSTGRES_READING: Final[Mapping[str, Any]] = {
    READING: True,
    "isolation_level": "REPEATABLE READ",
    "postgresql_readonly": True,
}
"""What makes a transaction one that reads from one snapshot."""
WRITER_LOCK: Final = int.from_bytes(b"tw-write")
"""The advisory lock that a writer holds until its transaction ends."""
PATIENCE: Final = "10s"
"""How long a writer waits for the one before it, as SQLite's does."""
LONGEST_SILENCE: Final = "30s"
"""A server that holds the lock and says nothing is cut off: it was killed or frozen."""
LONGEST_READ_SECONDS: Final = 6.0
LONGEST_WRITE_SECONDS: Final = 15.0
"""Longer than PATIENCE: then the database has said nothing at all."""
CLOSE_SECONDS: Final = 1.0
CONNECT_SECONDS: Final = 10.0
CONNECTIONS: Final = 5
MORE_CONNECTIONS: Final = 5

_PASSING_CLASSES: Final = ("08", "40", "53", "57", "58")
"""SQLSTATE: connections, rollbacks, resources (a full disk), intervention, input and output."""
_PASSING: Final = ("25006", "55P03")
"""A server that only reads just now (a standby, say); a lock that was not to be had in time."""


def postgres_engine(url: str) -> AsyncEngine:
    """Connect as `url` says, with everything that PostgreSQL's own clients understand in it."""
    import asyncpg  # here, as most servers do without

    async def connect() -> Any:
        try:
            # statements without a name: behind PgBouncer the next one may meet another backend
            return await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise OperationalError("connect", None, error) from error

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        hide_parameters=True,  # an error may be logged
        pool_pre_ping=True,  # so that a restart of the database is hardly noticed
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        connect_args={"prepared_statement_cache_size": 0},
    )
    event.listen(engine.sync_engine, "begin", _on_begin)
    return engine


def is_passing(error: BaseException) -> bool:
    """Whether the database may well do the same a little later."""
    if isinstance(error, InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return True
    state = _state(error)
    return state[:2] in _PASSING_CLASSES or state in _PASSING


def has_nul(error: BaseException) -> bool:
    """Whether the statement had a text that PostgreSQL can't hold."""
    return _state(error) == "22021"


def _state(error: BaseException) -> str:
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None) or ""


def _on_begin(connection: Connection) -> None:
    """Writers take turns, as they do on SQLite: none acts on what another is just changing."""
    if connection.get_execution_options().get(READING):
        return
    connection.exec_driver_sql(
        f"SELECT set_config('lock_timeout', '{PATIENCE}', true),"
        f" set_config('idle_in_transaction_session_timeout', '{LONGEST_SILENCE}', true),"
        f" pg_advisory_xact_lock({WRITER_LOCK})"
    )

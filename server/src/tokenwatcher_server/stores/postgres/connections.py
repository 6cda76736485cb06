"""Connections to the server, and what its errors mean.

Where a pooler such as PgBouncer may hand every transaction to another backend, no statement is
kept prepared.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import asyncpg

from tokenwatcher_server.events.store import QuestionTooLong, StoreRefused, StoreUnavailable

Connection = Any
"""One of asyncpg's, which are not typed."""

CONNECT_SECONDS: Final = 10.0
LONGEST_WAIT_SECONDS: Final = 8.0
"""For a connection: one that is made, or one that others have."""
LONGEST_WRITE_SECONDS: Final = 7.0
"""Less than senders wait for an answer, so that it is one of ours."""
ANSWER_SECONDS: Final = 5.0
"""A server that says nothing for so long, where there is nothing to do, is not there any more."""
CANCEL_SECONDS: Final = 1.0
"""How long a server is waited for to end what took too long, or a connection."""
READERS: Final = 4
WRITERS: Final = 2
PREPARED: Final = 20
"""Statements that a connection keeps."""

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InterfaceError,
    OSError,  # TimeoutError too
)
_CAN_NOT_NOW: Final = (
    *_LOST,
    asyncpg.InsufficientResourcesError,  # such as a full disk
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
)
_WRONG_URL: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    asyncpg.InsufficientPrivilegeError,
    ValueError,
)


class Connections:
    """A pool for questions and one for writes: neither waits for the other."""

    def __init__(self, url: str, question_seconds: float) -> None:
        self._url = url
        self._limit = str(max(1, int(question_seconds * 1000)))
        self._patience = question_seconds + ANSWER_SECONDS

    async def open(self) -> None:
        """Raises StoreRefused where the server can't be reached, or lets nobody in."""
        try:
            kept = PREPARED if await _is_direct(self._url) else 0
            # a question's plan depends on its period, so each is made anew
            self._reading = await _pool(self._url, READERS, self._patience, 0)
            self._writing = await _pool(self._url, WRITERS, LONGEST_WRITE_SECONDS, kept)
        except _WRONG_URL as error:
            raise StoreRefused(f"EVENTS_URL: the PostgreSQL server refuses it: {error}") from None
        except _CAN_NOT_NOW as error:
            raise StoreRefused(
                f"EVENTS_URL: the PostgreSQL server can't be reached: {error}"
            ) from None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """To read from one snapshot, within the time of a question."""
        with answering():
            async with _lent(self._reading) as connection, _one_state(connection):
                await connection.execute(f"set local statement_timeout = {self._limit}")
                yield connection

    @asynccontextmanager
    async def counters(self) -> AsyncIterator[Connection]:
        """To read what is no question and takes no time, whatever the time of a question is."""
        with answering():
            async with _lent(self._reading) as connection:
                yield connection

    @asynccontextmanager
    async def long_snapshot(self) -> AsyncIterator[Connection]:
        """To read everything from one snapshot, however long it takes."""
        with answering():
            async with _connected(self._url) as connection, _one_state(connection):
                yield connection

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[Connection]:
        """To write, each statement in a transaction of its own. Errors are the driver's own."""
        async with _lent(self._writing) as connection:
            yield connection

    @asynccontextmanager
    async def long_writer(self) -> AsyncIterator[Connection]:
        """To write what may take long, such as sums of all events."""
        with answering():
            async with _connected(self._url) as connection:
                yield connection

    async def close(self) -> None:
        """Say goodbye to the server, and not wait for one that doesn't answer."""
        for pool in (self._reading, self._writing):
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await pool.close()


def _pool(url: str, size: int, command_seconds: float, prepared: int) -> Any:
    return asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=command_seconds,
        statement_cache_size=prepared,
        reset=_nothing,
    )


@asynccontextmanager
async def _lent(pool: Any) -> AsyncIterator[Connection]:
    """One of a pool's connections.

    What was not answered in time is cancelled before the next one has it: a statement that waits for
    a lock would else go on waiting. A server that doesn't answer that either loses the connection.
    """
    connection = await pool.acquire(timeout=LONGEST_WAIT_SECONDS)
    try:
        yield connection
    finally:
        await pool.release(connection, timeout=CANCEL_SECONDS)


@asynccontextmanager
async def _one_state(connection: Connection) -> AsyncIterator[None]:
    """A transaction that reads from one snapshot."""
    begin = "begin isolation level repeatable read, read only"
    try:
        await connection.execute(begin, timeout=ANSWER_SECONDS)
        yield
    except TimeoutError:  # the server ends questions by itself, so it is not there
        connection.terminate()
        raise
    except BaseException:
        await connection.execute("rollback")
        raise
    await connection.execute("commit")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    """A connection beside the pools, with all the time there is."""
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS, statement_cache_size=0)
    try:
        yield connection
    finally:
        await connection.close()


async def _is_direct(url: str) -> bool:
    """Whether the server itself is at the other end: a pooler tells another process's number."""
    async with _connected(url) as connection:
        process = await connection.fetchval("select pg_backend_pid()")
        return bool(process == connection.get_server_pid())


async def _nothing(_connection: object) -> None:
    """What is set is set for a transaction alone, so nothing needs to be set back."""


def is_passing(error: BaseException) -> bool:
    """Whether the server may well do the same a little later."""
    return isinstance(error, _CAN_NOT_NOW)


def is_lost(error: BaseException) -> bool:
    """Whether the connection or its transaction is gone, so that another one may do better."""
    return isinstance(error, _LOST)


def reason(error: BaseException) -> str:
    """What is wrong with the server, for the log."""
    return f"PostgreSQL: {str(error) or 'it gave no answer in time'}"


@contextmanager
def answering() -> Iterator[None]:
    """Turn what keeps the server from answering into what a store promises to raise."""
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise QuestionTooLong from None
    except _CAN_NOT_NOW as error:
        raise StoreUnavailable(reason(error)) from error

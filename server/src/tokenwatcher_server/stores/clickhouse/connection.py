"""The way to the server: statements, inserts, and what its errors mean.

The driver is called from threads; it may be from several at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error
from urllib3.exceptions import MaxRetryError
from urllib3.exceptions import TimeoutError as TimedOut

from tokenwatcher_server.events.store import QuestionTooLong, StoreRefused, StoreUnavailable
from tokenwatcher_server.kernel.clickhouse_url import Address, parse_url
from tokenwatcher_server.stores.clickhouse.pool import WholeAnswers
from tokenwatcher_server.stores.clickhouse.values import Values

CONNECT_SECONDS: Final = 5
WRITE_SECONDS: Final = 10
PROBE_SECONDS: Final = 3
COUNT_SECONDS: Final = 30
MORE_SECONDS: Final = 5
"""A server that should have ended a statement by now, and says nothing, is not there any more."""
LONG_SECONDS: Final = 3_600
"""What reading everything may take: a backup, a check."""

_READING: Final = {
    # a null that is cast stays one, as everywhere else
    "cast_keep_nullable": 1,
    # what several questions of one statement see is the same
    "enable_shared_storage_snapshot_in_query": 1,
    "use_skip_indexes_if_final": 1,
    "use_skip_indexes_if_final_exact_mode": 1,
}
_WRITING: Final = {
    # an insert is answered when it is on disk, and is one block, which is stored whole or not
    "async_insert": 0,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 0,
}
_CLUSTER_READING: Final = {"select_sequential_consistency": 1}
_CLUSTER_WRITING: Final = {
    "distributed_foreground_insert": 1,
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
}
_TIMEOUT, _NO_DATABASE, _NO_ACCESS = 159, 81, {192, 193, 194, 497, 516}


class Silent(StoreUnavailable):
    """The server said nothing in its time. It may yet do what it was asked."""


class Connection:
    """One way to the server. Raises StoreRefused where it can't be reached, or lets nobody in."""

    def __init__(self, address: Address, seconds: float) -> None:
        reading = dict(_READING)
        self._limit = {"max_execution_time": seconds}
        self._writing: dict[str, Any] = dict(_WRITING)
        if address.cluster is not None:
            reading |= _CLUSTER_READING
            self._writing |= _CLUSTER_WRITING | {
                "insert_quorum_timeout": int(seconds * 1_000),
                "distributed_ddl_task_timeout": int(seconds),
            }
        self._pool = WholeAnswers()
        with _opening(address):
            self._client: Client = clickhouse_connect.get_client(
                host=address.host,
                port=address.port,
                username=address.user,
                password=address.password,
                database=address.database,
                secure=address.secure,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=int(seconds + MORE_SECONDS),
                settings=reading,
                pool_mgr=self._pool,
                compress="lz4",
                form_encode_query_params=True,
                autogenerate_session_id=False,
            )

    def rows(self, text: str, values: Values | None = None) -> Sequence[tuple[Any, ...]]:
        """Ask. Raises QuestionTooLong, or StoreUnavailable where there is no answer."""
        with answering():
            given = dict(values) if values is not None else None
            answer = self._client.query(text, parameters=given, settings=self._limit)
            return answer.result_rows  # type: ignore[return-value]

    def insert(
        self, table: str, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str], token: str
    ) -> None:
        """Store rows, whole and durable on return. The same token twice is stored once."""
        with _doing():
            self._client.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_type_names=[types[name] for name in columns],
                column_oriented=True,
                settings=self._writing | self._limit | {"insert_deduplication_token": token},
            )

    def execute(self, text: str, values: Values | None = None) -> None:
        """Do something that gives no rows. Raises StoreUnavailable, as `insert` does."""
        with _doing():
            given = dict(values) if values is not None else None
            settings = self._writing | self._limit
            self._client.command(text, parameters=given, settings=settings)

    def close(self) -> None:
        self._client.close()
        self._pool.clear()


def address_of(url: str) -> Address:
    """Read EVENTS_URL. Raises StoreRefused where it is none."""
    try:
        return parse_url(url)
    except ValueError as error:
        raise StoreRefused(f"EVENTS_URL: {error}") from None


@contextmanager
def answering() -> Iterator[None]:
    """Turn what keeps the server from answering into what a store promises to raise."""
    try:
        yield
    except Error as error:
        if error.code == _TIMEOUT:
            raise QuestionTooLong from None
        raise (Silent if _timed_out(error) else StoreUnavailable)(f"ClickHouse: {error}") from error


@contextmanager
def _doing() -> Iterator[None]:
    """What takes too long is not done, or not known to be."""
    try:
        with answering():
            yield
    except QuestionTooLong:
        raise StoreUnavailable("ClickHouse: it takes too long") from None


def _timed_out(error: Error) -> bool:
    cause = error.__cause__
    return isinstance(cause.reason if isinstance(cause, MaxRetryError) else cause, TimedOut)


@contextmanager
def _opening(address: Address) -> Iterator[None]:
    where = f"EVENTS_URL: the ClickHouse server at {address.host}:{address.port}"
    try:
        yield
    except Error as error:
        if error.code in _NO_ACCESS:
            raise StoreRefused(
                f"{where} refuses the user {address.user!r} or its password"
            ) from None
        if error.code == _NO_DATABASE:
            raise StoreRefused(f"{where} has no database {address.database!r}: create it") from None
        raise StoreRefused(f"{where} can't be used: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    """What was wrong at first, in a line."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]

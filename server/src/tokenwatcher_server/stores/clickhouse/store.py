"""The store in ClickHouse: any number of servers may have it open at once."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final, TypeVar

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import EventFilter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import (
    Outcome,
    Repricing,
    StoredEvent,
    StoreRefused,
    StoreUnavailable,
    Verification,
)
from tokenwatcher_server.kernel.clickhouse_url import Address
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.clickhouse import reading
from tokenwatcher_server.stores.clickhouse.connection import (
    COUNT_SECONDS,
    LONG_SECONDS,
    PROBE_SECONDS,
    WRITE_SECONDS,
    Connection,
    address_of,
)
from tokenwatcher_server.stores.clickhouse.erasing import erase
from tokenwatcher_server.stores.clickhouse.migrate import migrate
from tokenwatcher_server.stores.clickhouse.sequence import Sequences
from tokenwatcher_server.stores.clickhouse.statistics import Statistics
from tokenwatcher_server.stores.clickhouse.usage import answer
from tokenwatcher_server.stores.clickhouse.verify import verify
from tokenwatcher_server.stores.clickhouse.writing import Writer, probe

READERS: Final = 4

T = TypeVar("T")


class ClickHouseStore:
    """An EventStore in a ClickHouse database."""

    def __init__(self, address: Address, clock: Clock, question_seconds: float) -> None:
        self._address, self._clock = address, clock
        try:
            sequences = self._patiently(lambda patient: _prepared(patient, address.cluster, clock))
        except StoreUnavailable as error:
            raise StoreRefused(f"EVENTS_URL: the tables can't be made: {error}") from None
        with ExitStack() as stack:

            def connected(seconds: float) -> Connection:
                return stack.enter_context(closing(Connection(address, seconds)))

            self._writer = Writer(connected(WRITE_SECONDS), sequences)
            self._questions = connected(question_seconds)
            self._probes = connected(PROBE_SECONDS)
            self._statistics = Statistics(connected(COUNT_SECONDS), address.cluster)
            self._resources = stack.pop_all()
        self._erasing = asyncio.Lock()
        self._writing = ThreadPoolExecutor(1, "clickhouse-write")
        self._reading = ThreadPoolExecutor(READERS, "clickhouse-read")

    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        return await self._write(lambda: self._writer.append(batches))

    async def usage(self, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
        return await self._read(lambda: answer(self._questions, queries))

    async def events(self, wanted: EventFilter) -> list[StoredEvent]:
        return await self._read(lambda: reading.events(self._questions, wanted))

    async def event(self, scope: Scope, event_id: str) -> StoredEvent | None:
        return await self._read(lambda: reading.event(self._questions, scope, event_id))

    async def tag_keys(self, scope: Scope) -> list[str]:
        return await self._read(lambda: reading.tag_keys(self._questions, scope))

    async def reprice(self, changes: Sequence[Repricing]) -> int:
        return await self._write(lambda: self._writer.reprice(changes))

    async def erase(self, erasures: Sequence[Erasure]) -> list[int]:
        async with self._erasing:
            return [await self._erase(erasure) for erasure in erasures]

    async def rebuild_totals(
        self,
        period: Period,  # noqa: ARG002 - the promise's signature
        workspaces: Sequence[WorkspaceId] | None,  # noqa: ARG002
    ) -> int:
        """Nothing is derived: every question is answered from the events."""
        return 0

    async def verify(self) -> Verification:
        cluster = self._address.cluster
        return await asyncio.to_thread(self._later, lambda patient: verify(patient, cluster))

    async def ready(self) -> bool:
        try:
            await self._read(lambda: probe(self._probes, self._clock))
        except StoreUnavailable:
            return False
        return True

    async def statistics(self) -> Mapping[str, int]:
        return await self._read(self._statistics.take)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reading, work)

    async def _erase(self, erasure: Erasure) -> int:
        """Beside the thread that commits, as it may take long."""
        number = await self._write(self._writer.number)
        cluster = self._address.cluster
        return await asyncio.to_thread(
            self._later, lambda patient: erase(patient, cluster, erasure, number)
        )

    def _patiently(self, work: Callable[[Connection], T]) -> T:
        """Do what may take as long as it needs."""
        with closing(Connection(self._address, LONG_SECONDS)) as patient:
            return work(patient)

    def _later(self, work: Callable[[Connection], T]) -> T:
        """The same of an open store, whose server was there, and is only away."""
        try:
            return self._patiently(work)
        except StoreRefused as error:
            raise StoreUnavailable(str(error)) from None

    def _close(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        self._resources.close()


def _prepared(patient: Connection, cluster: str | None, clock: Clock) -> Sequences:
    migrate(patient, cluster)
    return Sequences(patient, clock)


def open_clickhouse(url: str, clock: Clock, question_seconds: float) -> ClickHouseStore:
    """Open the store in a database, and bring its tables to this version's schema.

    Raises StoreRefused where the server can't be used, or the tables are of a newer version.
    """
    return ClickHouseStore(address_of(url), clock, question_seconds)

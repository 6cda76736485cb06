"""The store in PostgreSQL: any number of servers may have it open at once."""

import asyncio
from collections.abc import Mapping, Sequence

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import EventFilter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import Outcome, Repricing, StoredEvent, Verification
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres import erasing, hours, reading, repricing
from tokenwatcher_server.stores.postgres.connections import ANSWER_SECONDS, Connections, is_passing
from tokenwatcher_server.stores.postgres.durations import MANY_EVENTS, Durations
from tokenwatcher_server.stores.postgres.kept_durations import keep
from tokenwatcher_server.stores.postgres.migrate import migrate
from tokenwatcher_server.stores.postgres.usage import answer
from tokenwatcher_server.stores.postgres.verify import verify
from tokenwatcher_server.stores.postgres.writing import Writer

_PROBE = "select pg_logical_emit_message(true, 'tokenwatcher', '')"
"""The smallest thing that has to be written to disk before it is answered."""
_DISK = (
    "select coalesce(sum(pg_total_relation_size(inhrelid)), 0)"
    " + (select sum(pg_total_relation_size(name)) from unnest($1::regclass[]) as name)"
    " from pg_inherits where inhparent = 'events'::regclass"
)
_BESIDE = [
    "event_ids",
    "event_answers",
    "event_repricings",
    "event_erased",
    "hours",
    "tag_hours",
    "durations",
]


class PostgresStore:
    """An EventStore in a PostgreSQL database."""

    def __init__(self, connections: Connections, clock: Clock, many_events: int) -> None:
        self._connections, self._clock = connections, clock
        self._many_events = many_events
        self._keeping: asyncio.Task[None] | None = None
        self._writer = Writer(connections)

    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        return await self._writer.append(batches)

    async def usage(self, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
        durations = Durations(self._clock.now_us(), self._many_events)
        async with self._connections.snapshot() as connection:
            rows = await answer(connection, queries, durations)
        if durations.counted and self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(durations))
        return rows

    async def events(self, wanted: EventFilter) -> list[StoredEvent]:
        async with self._connections.snapshot() as connection:
            return await reading.events(connection, wanted)

    async def event(self, scope: Scope, event_id: str) -> StoredEvent | None:
        async with self._connections.snapshot() as connection:
            return await reading.event(connection, scope, event_id)

    async def tag_keys(self, scope: Scope) -> list[str]:
        async with self._connections.snapshot() as connection:
            return await reading.tag_keys(connection, scope)

    async def reprice(self, changes: Sequence[Repricing]) -> int:
        async with self._connections.long_writer() as connection:
            return await repricing.reprice(connection, changes)

    async def rebuild_totals(self, period: Period, workspaces: Sequence[WorkspaceId] | None) -> int:
        async with self._connections.long_writer() as connection:
            return await hours.rebuild(connection, period, workspaces)

    async def erase(self, erasures: Sequence[Erasure]) -> list[int]:
        async with self._connections.long_writer() as connection:
            return [await erasing.erase(connection, erasure) for erasure in erasures]

    async def verify(self) -> Verification:
        async with self._connections.long_snapshot() as connection:
            return await verify(connection)

    async def ready(self) -> bool:
        try:
            async with self._connections.writer() as connection:
                await connection.execute(_PROBE, timeout=ANSWER_SECONDS)
        except Exception as error:
            if is_passing(error):
                return False
            raise
        return True

    async def statistics(self) -> Mapping[str, int]:
        async with self._connections.counters() as connection:
            [(events, commits)] = await connection.fetch(
                "select sum(events), sum(commits) from event_counts"
            )
            return {
                "events": int(events),
                "commits": int(commits),
                "disk_bytes": int(await connection.fetchval(_DISK, _BESIDE)),
            }

    async def _keep(self, made: Durations) -> None:
        """Keep what a question counted, for the next one; that one counts again where it fails."""
        try:
            async with self._connections.writer() as connection:
                await keep(connection, made.counted, made.epoch)
        except Exception as error:
            if not is_passing(error):
                raise
        finally:
            self._keeping = None

    async def close(self) -> None:
        if self._keeping is not None:
            await self._keeping
        await self._connections.close()


async def open_postgres(
    url: str, clock: Clock, question_seconds: float, many_events: int = MANY_EVENTS
) -> PostgresStore:
    """Open the store in a database, and bring its tables to this version's schema.

    Raises StoreRefused where the server can't be reached, or the tables are of a newer version.
    """
    connections = Connections(url, question_seconds)
    await connections.open()
    try:
        await migrate(url)
        async with connections.long_writer() as connection:
            await hours.drop_large(connection)
    except BaseException:
        await connections.close()
        raise
    return PostgresStore(connections, clock, many_events)

"""Everything in the database read from end to end, from one snapshot, beside running servers."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Final, TypeVar

import asyncpg

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Repricing, StoreRefused
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.stores.postgres.connections import is_passing
from tokenwatcher_server.stores.postgres.rows import stored_events
from tokenwatcher_server.stores.scatter import EVENT_NAMES, REPRICING_NAMES, scatter_costs
from tokenwatcher_server.stores.schema import PRICE_COLUMNS

ROWS_AT_ONCE: Final = 2_000

T = TypeVar("T")

_FIRST_COST: Final = {
    name: (
        f"case when was is null then events.{name} else (was ->> '{name}')::"
        f"{'bigint' if name in {'cost_total', 'cost_fees', 'cache_savings'} else 'text'} end"
    )
    for name in PRICE_COLUMNS
}
"""What an event cost before the first of its later costs."""
_EVENTS: Final = (
    "select sequence, digest,"
    f" {', '.join(_FIRST_COST.get(name, f'events.{name}') for name in EVENT_NAMES)}"
    " from events join event_ids using (workspace_id, id, occurred_at)"
    " left join (select distinct on (workspace_id, id) workspace_id, id, was"
    " from event_repricings order by workspace_id, id, sequence) as first"
    " using (workspace_id, id) order by sequence, place"
)
_REPRICINGS: Final = (
    f"select sequence, {', '.join(REPRICING_NAMES)} from event_repricings order by sequence, place"
)


class PostgresHistory:
    """See `events/history.py`. Its walks may be made in any thread, also one with a loop.

    Raises StoreRefused for a database that can't be read, or holds no events' tables.
    """

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = ThreadPoolExecutor(1, "history")
        self._open = False
        try:
            self._connection = self._run(_connected(url))
            self._open = True
            self.events = int(self._run(self._connection.fetchval("select count(*) from events")))
        except BaseException as error:
            self.close()
            if isinstance(error, asyncpg.UndefinedTableError):
                raise StoreRefused("The database holds no events: it has no such table.") from None
            if is_passing(error) or isinstance(error, asyncpg.PostgresError):
                raise StoreRefused(f"The database can't be read: {error}") from None
            raise

    def commits(self) -> Iterator[Sequence[PricedEvent]]:
        for _, rows in groupby(self._rows(_EVENTS), key=lambda row: row["sequence"]):
            yield [stored.priced for stored in stored_events(list(rows))]

    def repricings(self) -> Iterator[Sequence[Repricing]]:
        for _, rows in groupby(self._rows(_REPRICINGS), key=lambda row: row["sequence"]):
            yield _repricings([tuple(row)[1:] for row in rows])

    def close(self) -> None:
        if self._open:
            self._run(self._connection.close())
        self._thread.submit(self._loop.close).result()
        self._thread.shutdown()

    def _rows(self, text: str) -> Iterator[Any]:
        cursor = self._run(self._cursor(text))
        while rows := self._run(cursor.fetch(ROWS_AT_ONCE)):
            yield from rows

    async def _cursor(self, text: str) -> Any:
        return await self._connection.cursor(text)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._loop.run_until_complete, work).result()


async def _connected(url: str) -> Any:
    connection = await asyncpg.connect(url, statement_cache_size=0)
    await connection.execute("begin isolation level repeatable read, read only")
    return connection


def _repricings(rows: Sequence[tuple[Any, ...]]) -> list[Repricing]:
    columns = dict(zip(REPRICING_NAMES, zip(*rows, strict=True), strict=True))
    # without counts: a repricing's costs were gathered alone
    costs = scatter_costs(columns, [Tokens()] * len(rows))
    named = zip(columns["workspace_id"], columns["id"], costs, strict=True)
    return [Repricing(*each) for each in named]

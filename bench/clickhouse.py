"""ClickHouse's engine: the overview's questions beside the same written by hand.

The engine is `chdb` behind the tests' HTTP front, so the driver is measured with it. The table is
filled through the server's own pipeline, and then multiplied where it lies.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from bench.fill import fill
from bench.row import Limit, Row
from bench.scale import Bench, millions
from bench.stores import Filled
from server.tests.clickhouse_server import ClickHouse
from tokenwatcher_server.events.query import Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US, SystemClock
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.clickhouse.connection import Connection, address_of
from tokenwatcher_server.stores.clickhouse.schema import COLUMN_TYPES
from tokenwatcher_server.usage.request import LastDays, UsageRequest
from tokenwatcher_server.usage.stats import stats_questions

MOST_TIMES: Final = 2.0
"""How much longer than what is written by hand a question may take."""
POURED: Final = 100_000
"""Events that come through the pipeline; the others are copies of them, a little later each."""
COPIES_AT_ONCE: Final = 10
LONG_SECONDS: Final = 900.0

_SPEND: Final = (
    "sum(toInt128(cost_total)), sum(toInt128(input_tokens)) + sum(toInt128(output_tokens)),"
    " count(), countIf(status = 'error'), countIf(event_type = 'usage' and cost_total is null)"
)
_MODELS: Final = (
    f"{_SPEND}, sum(toInt128(input_tokens)), sum(toInt128(output_tokens)),"
    " sum(toInt128(cache_read)) + sum(toInt128(cache_read_audio)),"
    " sum(toInt128(latency_ms)) / count(latency_ms)"
)
BY_HAND: Final[Mapping[str, str]] = {
    "overview": (
        f"select {_MODELS}, sum(toInt128(cache_savings)), quantileExactInclusive(0.5)(latency_ms),"
        " quantileExactInclusive(0.95)(latency_ms),"
        " quantileExactInclusive(0.5)(time_to_first_token_ms) from bare where {within}"
    ),
    "models": (
        f"select provider, model, {_MODELS} from bare where {{within}}"
        " group by provider, model order by 3 desc limit 1000"
    ),
    "days": (
        f"select intDiv(occurred_at, {DAY_US}) as day, {_SPEND} from bare where {{within}}"
        " group by day order by day"
    ),
    "tags": (
        f"select tags['feature'] as tag, {_SPEND} from bare where {{within}}"
        " group by tag order by 2 desc limit 1000"
    ),
}
"""What somebody would write who knows that no event is there twice and none has a later price."""


def measure(bench: Bench) -> list[Row]:
    with _server() as server:
        url = server.new_database()
        held = asyncio.run(_fill(bench, url))
        connection = Connection(address_of(url), LONG_SECONDS)
        try:
            events = _multiply(connection, bench.scale.large_store)
            return asyncio.run(_rows(bench, url, held, connection, events))
        finally:
            connection.close()


async def _rows(
    bench: Bench, url: str, held: Filled, connection: Connection, events: int
) -> list[Row]:
    clock = SystemClock()
    store = await open_store(url, bench.scratch, clock, question_seconds=LONG_SECONDS)
    try:
        scope = Scope((WorkspaceId(held.workspace_id),))
        request = UsageRequest(window=LastDays(30), tag_key="feature")
        asked = stats_questions(request, scope, clock.now_us())
        return [await _row(bench, store, connection, name, asked[name], events) for name in BY_HAND]
    finally:
        await store.close()


async def _row(
    bench: Bench,
    store: EventStore,
    connection: Connection,
    name: str,
    query: UsageQuery,
    events: int,
) -> Row:
    [workspace] = query.scope.workspaces
    within = (
        f"occurred_at >= {query.period.start_us} and occurred_at < {query.period.end_us}"
        f" and workspace_id = '{workspace}'"
    )
    by_hand = BY_HAND[name].replace("{within}", within)
    ours, theirs = [], []
    for _ in range(bench.scale.repeats + 1):  # the first of each warms what stays warm
        began = time.perf_counter()
        await store.usage([query])
        between = time.perf_counter()
        connection.rows(by_hand)
        ours.append((between - began) * 1000)
        theirs.append((time.perf_counter() - between) * 1000)
    bare = statistics.median(theirs[1:])
    return Row(
        figure=f"ClickHouse's engine, 30 days: {name}, {millions(events)} events",
        measured=statistics.median(ours[1:]),
        unit="ms",
        better="lower",
        target=bare * MOST_TIMES,
        limits=(Limit("ms by hand, on a table without ids", bare),),
    )


async def _fill(bench: Bench, url: str) -> Filled:
    folder = bench.scratch / "clickhouse"
    folder.mkdir(parents=True, exist_ok=True)
    return await fill(folder, min(POURED, bench.scale.small_store), url)


def _multiply(connection: Connection, events: int) -> int:
    """Copy what is there until there are so many, each copy with an id and an answer of its own.

    The copies lie among each other, as the events of a busier company do. What is merged in time
    is merged at once; then some small commits come, which lie beside it as the newest always do.
    """
    names = ", ".join(COLUMN_TYPES)
    [(held,)] = connection.rows("select count() from events final")
    copies = events // held
    for first in range(1, copies, COPIES_AT_ONCE):
        copy = f"arrayJoin(range({first}, {min(first + COPIES_AT_ONCE, copies)})) as copy"
        number = f"rowNumberInAllBlocks() + {first * held}"
        changed = {
            "id": f"concat(substring(id, 1, 24), lower(leftPad(hex({number}), 12, '0')))",
            "occurred_at": "occurred_at + copy",
            "answer": "if(answer = 0, 0, answer + copy)",
            "change": "copy",
        }
        chosen = ", ".join(changed.get(name, name) for name in COLUMN_TYPES)
        connection.execute(
            f"insert into events ({names}) select {chosen} from"
            f" (select *, {copy} from events where change = 0)"
        )
    connection.execute("optimize table events final")
    connection.execute(
        f"create table bare engine = MergeTree order by occurred_at as select {names} from events"
    )
    connection.execute("optimize table bare final")
    [(found,)] = connection.rows("select count() from events final")
    return int(found)


@contextmanager
def _server() -> Iterator[ClickHouse]:
    server = ClickHouse()
    try:
        yield server
    finally:
        server.close()

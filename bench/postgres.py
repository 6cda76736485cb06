"""PostgreSQL: batches beside its bare statement, and the overview on half as many rows and on all.

The server is that of the tests, with the memory that docs/postgresql.md advises. It is filled
through the server's own pipeline, and then multiplied where it lies.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from bench.fill import fill
from bench.ingest import BATCH, BATCH_CONNECTIONS, LONGEST_SECONDS
from bench.instance import running, server_command
from bench.load import Load, apply
from bench.row import Limit, Row
from bench.scale import Bench, millions
from bench.stores import Filled
from server.tests.postgres_server import Postgres
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import EventFilter, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.ids import WorkspaceId, new_id
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.postgres.rows import event_values, joined
from tokenwatcher_server.stores.postgres.writing import OF_TEXTS, insert_statement
from tokenwatcher_server.stores.schema import COLUMNS
from tokenwatcher_server.usage.request import LastDays, UsageRequest
from tokenwatcher_server.usage.stats import stats_questions

POURED: Final = 100_000
"""Events that come through the pipeline; the others are copies of them, a little later each."""
LONG_SECONDS: Final = 900.0
_NO_FOLDER: Final = Path()
SETTINGS: Final = {
    "shared_buffers": "2GB",
    "effective_cache_size": "8GB",
    "max_wal_size": "8GB",
    "work_mem": "32MB",
    "jit": "off",
}
_NAMES: Final = tuple(column.name for column in COLUMNS if column.name not in {"id", "occurred_at"})


def measure(bench: Bench) -> list[Row]:
    with _server() as server:
        rows = _batches(bench, server)
        url = server.new_database()
        held = asyncio.run(_fill(bench, url, min(POURED, bench.scale.small_store)))
        return rows + asyncio.run(_questions(bench, url, held))


def _batches(bench: Bench, server: Postgres) -> list[Row]:
    url = server.new_database()
    held = asyncio.run(_fill(bench, url, 0))
    folder = bench.scratch / "postgres"
    load = Load(
        port=0,
        key=held.key,
        connections=BATCH_CONNECTIONS,
        batch=BATCH,
        events=bench.scale.batched // 2,
        seconds=LONGEST_SECONDS,
    )
    with running(folder, server_command(bench), EVENTS_URL=url) as running_server:
        result = apply(msgspec.structs.replace(load, port=running_server.port))
    if result.refused:
        raise RuntimeError(f"{result.refused} requests were refused: {result.first_refusal}")
    return [
        Row(
            figure="PostgreSQL: durable events/s, batches of 100, 8 connections",
            measured=result.rate,
            unit="events/s",
            better="higher",
            least_ratio=0.4,
            limits=(
                Limit(
                    "bare engine, the same statement on groups of 800",
                    asyncio.run(_bare(url, server.new_database(), bench.scale.limits)),
                ),
            ),
        )
    ]


async def _bare(filled: str, empty: str, most: int) -> float:
    """Events a second when PostgreSQL alone is given what the server has given it."""
    group = BATCH * BATCH_CONNECTIONS
    store = await open_store(filled, _NO_FOLDER, SystemClock(), None, LONG_SECONDS)
    events = await _some_events(store, filled, group)
    await store.close()
    prepared = await open_store(empty, _NO_FOLDER, SystemClock(), None, LONG_SECONDS)
    await prepared.append([[_again(event) for event in events]])
    await prepared.close()
    groups = [_columns([_again(event) for event in events]) for _ in range(most // group)]
    connection = await asyncpg.connect(empty)
    statement = await connection.prepare(insert_statement(0, OF_TEXTS))
    began = time.perf_counter()
    for columns in groups:
        await statement.fetch(*columns)
    seconds = time.perf_counter() - began
    await connection.close()
    return len(groups) * group / seconds


async def _some_events(store: EventStore, url: str, most: int) -> list[PricedEvent]:
    connection = await asyncpg.connect(url)
    workspace = await connection.fetchval("select workspace_id from events limit 1")
    await connection.close()
    wanted = EventFilter(
        scope=Scope((WorkspaceId(workspace),)), period=Period(0, 2**52), limit=most
    )
    return [found.priced for found in await store.events(wanted)]


def _again(priced: PricedEvent) -> PricedEvent:
    """The same call once more: another id, another answer."""
    event = msgspec.structs.replace(priced.event, id=new_id(), response_id=f"again-{new_id()}")
    return msgspec.structs.replace(priced, event=event)


def _columns(events: list[PricedEvent]) -> list[Any]:
    digests = [each.event.content_digest.hex() for each in events]
    answers = [new_id().replace("-", "")[:24] for _ in events]
    texts = joined([*event_values(events), digests, answers])
    assert texts is not None
    return texts


async def _questions(bench: Bench, url: str, held: Filled) -> list[Row]:
    clock = SystemClock()
    store = await open_store(url, bench.scratch, clock, None, LONG_SECONDS)
    try:
        scope = Scope((WorkspaceId(held.workspace_id),))
        request = UsageRequest(window=LastDays(30), tag_key="feature")
        asked = list(stats_questions(request, scope, clock.now_us()).values())
        tag = asked[-1:]
        rows = []
        before: float | None = None
        for wanted in (bench.scale.large_store // 2, bench.scale.large_store):
            events = await _multiply(url, store, wanted)
            took = await _milliseconds(store, asked, bench.scale.repeats)
            place = f"{millions(events)} events"
            rows.append(
                Row(
                    figure=f"PostgreSQL: /api/stats?days=30, all fields, {place}",
                    measured=took,
                    unit="ms",
                    better="lower",
                    target=100 if before is None else max(100, before * 1.1),
                )
            )
            rows.append(
                Row(
                    figure=f"PostgreSQL: the same without quantiles, {place}",
                    measured=await _milliseconds(
                        store, [_summed(query) for query in asked], bench.scale.repeats
                    ),
                    unit="ms",
                    better="lower",
                    target=100,
                )
            )
            rows.append(
                Row(
                    figure=f"PostgreSQL: by the values of a tag, 30 days, {place}",
                    measured=await _milliseconds(store, tag, bench.scale.repeats),
                    unit="ms",
                    better="lower",
                    target=300,
                )
            )
            before = took
        return rows
    finally:
        await store.close()


def _summed(query: UsageQuery) -> UsageQuery:
    kept = tuple(each for each in query.measures if "_p" not in each)
    return msgspec.structs.replace(query, measures=kept)


async def _milliseconds(store: EventStore, queries: list[UsageQuery], repeats: int) -> float:
    took = []
    for _ in range(repeats + 1):  # the first one warms what stays warm
        began = time.perf_counter()
        await store.usage(queries)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[1:])


async def _fill(bench: Bench, url: str, events: int) -> Filled:
    folder = bench.scratch / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    return await fill(folder, events, url)


async def _multiply(url: str, store: EventStore, wanted: int) -> int:
    """Copy what was poured until there are so many, each copy with an id of its own."""
    connection = await asyncpg.connect(url)
    try:
        held = int(await connection.fetchval("select count(*) from events"))
        poured = int(await connection.fetchval("select count(*) from events where sequence > 0"))
        names = ", ".join(_NAMES[1:])
        for copy in range(held // poured, wanted // poured):
            await connection.execute(
                "insert into events (sequence, place, input_tokens, output_tokens, id, occurred_at,"
                f" {names}) select -{copy}, place, input_tokens, output_tokens, id || '-{copy}',"
                f" occurred_at + {copy}, {names} from events where sequence > 0"
            )
        await connection.execute("vacuum analyze")
        found = int(await connection.fetchval("select count(*) from events"))
        await store.rebuild_totals(Period(0, 2**52), None)
        await connection.execute("vacuum analyze hours")
        await connection.execute("vacuum analyze tag_hours")
        return found
    finally:
        await connection.close()


@contextmanager
def _server() -> Iterator[Postgres]:
    server = Postgres(None, **SETTINGS)
    try:
        yield server
    finally:
        server.close()

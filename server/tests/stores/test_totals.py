"""Hourly sums are an invisible shortcut: every answer is the one that the events give."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.query import Dimension, Filter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import EventStore, Repricing
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import HOUR_US, FrozenClock
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores import open_store, rebuild_store
from tokenwatcher_server.stores.embedded import hours
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.dialect import duckdb_dialect
from tokenwatcher_server.stores.embedded.quantiles import LONGEST, quantile
from tokenwatcher_server.stores.embedded.usage import answer
from tokenwatcher_server.stores.sql import EVENTS, usage_rows, usage_statement

START = 1_774_738_800_000_000
"""28 March 2026, 23:00 UTC: two hours before Berlin's clocks go forward, two days before April."""
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
MEASURES = [
    "cost", "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens",
    "cache_write_tokens", "reasoning_tokens", "calls", "errors", "unpriced", "cache_savings",
    "reported_cost", "latency_avg", "latency_p50", "latency_p95", "time_to_first_token_p50",
    "users",
]  # fmt: skip

instants = st.builds(
    lambda hour, within: START + hour * HOUR_US + within,
    st.integers(0, 60),
    st.sampled_from([0, 1, HOUR_US // 2, HOUR_US - 1]),
)
amounts = st.none() | st.sampled_from([0, 1, 7, 2**62])
costs = st.builds(
    lambda total, saved: Cost(total=total, buckets=Tokens(input_text=total), cache_savings=saved),
    amounts,
    amounts,
)
events = st.fixed_dictionaries(
    {
        "occurred_at": instants,
        "cost": costs,
        "project": st.sampled_from(["shop", "chat"]),
        "workspace": st.sampled_from(["alice", "bob"]),
        "model": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(["success", "error"]),
        "event_type": st.sampled_from(["usage", "error"]),
        "latency_ms": st.none() | st.sampled_from([0, 1, 250, LONGEST - 1, LONGEST, 2**40]),
        "time_to_first_token_ms": st.none() | st.integers(0, 50),
        "cache_read": st.none() | st.integers(0, 9),
        "output_reasoning": st.none() | st.integers(0, 9),
        "reported_cost": amounts,
        "user_id": st.sampled_from([None, "u", "v"]),
        "tags": st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["x", "y"])),
    }
)
steps = st.lists(
    st.tuples(st.lists(events, max_size=8), st.lists(st.tuples(st.integers(0, 40), costs))),
    min_size=1,
    max_size=4,
)
"""Batches, each followed by new costs for events by their number so far."""

dimensions = st.sampled_from(
    [
        Dimension("workspace"),
        Dimension("project"),
        Dimension("provider"),
        Dimension("model"),
        Dimension("status"),
        Dimension("tag", "team"),
        Dimension("tag", "env"),
        Dimension("tag", "unknown"),
    ]
)


@st.composite
def queries(draw: st.DrawFn, cast: Any) -> UsageQuery:
    measures = tuple(draw(st.lists(st.sampled_from(MEASURES), min_size=1, unique=True)))
    first, second = draw(instants), draw(instants)
    if draw(st.booleans()):
        first, second = first // HOUR_US * HOUR_US, second // HOUR_US * HOUR_US
    # drawn by name: ids are other ones in every example
    ids: dict[str | None, str] = {"the shop": cast.shop, "the workspace": cast.alice}
    values = st.sampled_from([None, "x", "a", "openai", "error", *ids]).map(
        lambda value: ids.get(value, value)
    )
    return UsageQuery(
        scope=Scope(
            (cast.alice,) if draw(st.booleans()) else (cast.alice, cast.bob),
            None if draw(st.booleans()) else (cast.shop,),
        ),
        period=Period(min(first, second), max(first, second) + HOUR_US),
        measures=measures,  # type: ignore[arg-type]
        group_by=tuple(draw(st.lists(dimensions, max_size=2, unique=True))),
        filters=tuple(
            Filter(draw(dimensions), tuple(draw(st.lists(values, min_size=1, max_size=3))))
            for _ in range(draw(st.integers(0, 1)))
        ),
        interval=draw(st.sampled_from([None, "hour", "day", "month"])),
        zone=ZoneInfo(draw(st.sampled_from(ZONES))),
        order_by=draw(st.none() | st.sampled_from(measures)),
        limit=draw(st.none() | st.integers(1, 3)),
    )


def as_event(cast: Any, number: int, said: dict[str, Any]) -> PricedEvent:
    fields = {name: said[name] for name in said.keys() - {"project", "workspace"}}
    made: PricedEvent = cast.event(
        id=f"event-number-{number}",
        project_id=getattr(cast, said["project"]),
        workspace_id=getattr(cast, said["workspace"]),
        **fields,
    )
    return made


async def write(folder: Path, cast: Any, said: Any) -> None:
    store = await open_store(None, folder, FrozenClock(START))
    await store_all(store, cast, said)
    await store.close()


async def store_all(store: EventStore, cast: Any, said: Any) -> None:
    """Every batch is sent twice; some of its events get new costs between the steps."""
    known: list[PricedEvent] = []
    for batch, changes in said:
        made = [as_event(cast, len(known) + n, event) for n, event in enumerate(batch)]
        known += made
        await store.append([made])
        await store.append([made])
        await store.reprice(
            [
                Repricing(known[n].event.workspace_id, known[n].event.id, cost)
                for n, cost in dict(changes).items()
                if n < len(known)
            ]
        )
        if batch:
            await store.usage([cast.query("calls")])
    assert (await store.verify()).sound


@contextmanager
def columns(folder: Path) -> Iterator[Columns]:
    with closing(Columns(folder / "events.duckdb", folder / "events.tmp", threads=1)) as opened:
        yield opened


def of_events(columns: Columns, asked: Sequence[UsageQuery]) -> list[list[UsageRow]]:
    """The answers with no shortcut."""
    with columns.snapshot() as snapshot:
        dialect = duckdb_dialect(snapshot.tag_slots)
        statements = [usage_statement(query, EVENTS, dialect) for query in asked]
        return [
            usage_rows(query, snapshot.rows(statement.text, statement.values))
            for query, statement in zip(asked, statements, strict=True)
        ]


def kept_sums(folder: Path) -> list[tuple[Any, ...]]:
    """What the tables of hourly sums come to, merged."""
    with duckdb.connect(str(folder / "events.duckdb")) as connection:
        assert list(hours.differences(connection)) == []
        [(events,)] = connection.execute("select count(*) from events").fetchall()
        hours.merge(connection, events)
        assert list(hours.differences(connection)) == []
        return [
            row
            for table in ("hours", "tag_hours")
            for row in connection.execute(f"from {table} order by all").fetchall()
        ]


@given(st.lists(st.integers(0, LONGEST - 1), min_size=1, max_size=30), st.sampled_from([0.5, 0.95]))
def test_a_counted_quantile_is_the_one_that_the_engine_gives(
    milliseconds: list[int], fraction: float
) -> None:
    text = duckdb_dialect({}).quantile.format(column="ms", fraction=fraction)
    with duckdb.connect() as connection:
        [(sorted_out,)] = connection.execute(
            f"select {text} from (select unnest(?::bigint[]) as ms)", [milliseconds]
        ).fetchall()
    assert quantile(np.bincount(milliseconds), fraction) == sorted_out


@settings(max_examples=8, deadline=None)
@given(steps, st.data())
def test_every_question_gets_the_answer_that_the_events_give(
    cast: Any, said: Any, data: st.DataObject
) -> None:
    asked = data.draw(st.lists(queries(cast), min_size=10, max_size=20))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(write(folder, cast, said))
        with columns(folder) as opened:
            expected = of_events(opened, asked)
            assert answer(opened, asked) == expected
        incremental = kept_sums(folder)
        with columns(folder) as opened:
            assert answer(opened, asked) == expected
        rebuild_store(folder, lambda *_: None)
        assert kept_sums(folder) == incremental
        with columns(folder) as opened:
            assert answer(opened, asked) == expected


def test_a_tag_with_nearly_as_many_values_as_events_loses_its_sums_and_nothing_else(
    tmp_path: Path, cast: Any
) -> None:
    batch = [{"cost": cast.cost(n, n), "tags": {"run": f"{n}", "team": "x"}} for n in range(60)]

    async def fill() -> None:
        store = await open_store(None, tmp_path, FrozenClock(START))
        await store.append([[cast.event(**event) for event in batch]])
        await store.close()

    asyncio.run(fill())
    with duckdb.connect(str(tmp_path / "events.duckdb")) as connection:
        hours.merge(connection, 60, most_tag_rows=10)
        assert connection.execute("select distinct slot from tag_hours").fetchall() == [(2,)]
    asked = [cast.query("calls", "cost", group_by=cast.by(f"tag:{key}")) for key in ("run", "team")]
    with columns(tmp_path) as opened:
        by_run, by_team = answer(opened, asked)
        assert [by_run, by_team] == of_events(opened, asked)
    assert len(by_run) == 60
    asyncio.run(fill_and_verify(tmp_path, cast))


async def fill_and_verify(folder: Path, cast: Any) -> None:
    store = await open_store(None, folder, FrozenClock(START))
    await store.append([[cast.event(tags={"run": "61", "team": "y"})]])
    assert (await store.verify()).sound
    await store.close()


def test_sums_that_differ_from_the_events_are_found(embedded: Any, cast: Any) -> None:
    embedded.run(lambda store: store.append([[cast.event(tags={"team": "x"})]]))
    with duckdb.connect(str(embedded.data_dir / "events.duckdb")) as connection:
        connection.execute("update tag_hours set cost = cost + 1")
    found = embedded.run(lambda store: store.verify())
    assert not found.sound
    assert "tag_hours" in found.faults[0]
    assert "2026-05-28T12:00" in found.faults[0]

"""Quantiles of many durations come from counted days and hours: near the exact ones, and never out of date."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.tests.postgres_server import Postgres
from server.tests.stores.conftest import Cast
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US, FrozenClock
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres.steps import (
    EXACT_BELOW,
    GREATEST_ERROR,
    add_up,
    pack,
    quantile,
)
from tokenwatcher_server.stores.postgres.store import open_postgres

Result = TypeVar("Result")
MEASURES = ("latency_p50", "latency_p95", "time_to_first_token_p50")


def on(url: str, cast: Cast, work: Callable[[EventStore], Awaitable[Result]]) -> Result:
    """With a store for which any event is many, two days after the events."""

    async def run() -> Result:
        clock = FrozenClock(cast.noon + 3 * DAY_US)
        store = await open_postgres(url, clock, 60, many_events=0)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def some(cast: Cast, count: int, day: int = 0, **changes: Any) -> list[PricedEvent]:
    random = np.random.default_rng(count + 100 * day)
    return [
        cast.event(
            occurred_at=cast.noon + day * DAY_US + number * 1_000_000,
            latency_ms=int(latency), time_to_first_token_ms=int(latency) // 7, **changes,
        )
        for number, latency in enumerate(random.lognormal(7, 1.2, count))
    ]  # fmt: skip


def exact(events: list[PricedEvent]) -> list[float]:
    latencies = [each.event.latency_ms or 0 for each in events]
    first_tokens = [each.event.time_to_first_token_ms or 0 for each in events]
    return [
        float(np.quantile(latencies, 0.5)),
        float(np.quantile(latencies, 0.95)),
        float(np.quantile(first_tokens, 0.5)),
    ]


def near(expected: list[float]) -> Any:
    return pytest.approx(expected, rel=GREATEST_ERROR * 1.01)


async def asked(store: EventStore, cast: Cast, **changes: Any) -> list[Any]:
    [[row]] = await store.usage([cast.query(*MEASURES, **changes)])
    return list(row.values)


def test_they_are_near_the_exact_ones_counted_now_or_kept_from_before(
    cast: Cast, postgres: Postgres
) -> None:
    events = [each for day in range(4) for each in some(cast, 300, day)]
    url = postgres.new_database()

    async def work(store: EventStore) -> list[list[Any]]:
        await store.append([events])
        return [await asked(store, cast), await asked(store, cast)]

    for answer in on(url, cast, work):
        assert answer == near(exact(events))
    assert int(postgres.sql("select count(*) from durations", url)) == 3
    assert on(url, cast, lambda store: asked(store, cast)) == near(exact(events))


def test_what_comes_late_and_what_is_erased_counts_at_once(cast: Cast, postgres: Postgres) -> None:
    kept, late = some(cast, 200), some(cast, 50, model="slow", session_id="late")
    gone = [
        cast.event(occurred_at=cast.noon, latency_ms=90_000, time_to_first_token_ms=1, user_id="u")
        for _ in range(400)
    ]

    async def work(store: EventStore) -> list[list[Any]]:
        await store.append([kept, gone])
        answers = [await asked(store, cast)]
        await store.append([late])
        answers.append(await asked(store, cast))
        await store.erase([Erasure(workspaces=(cast.alice,), fate="remove", user="u")])
        return [*answers, await asked(store, cast)]

    found = on(postgres.new_database(), cast, work)
    assert found == [
        near(exact(events)) for events in (kept + gone, kept + gone + late, kept + late)
    ]


def test_scope_filters_and_cut_days_are_those_of_the_question(
    cast: Cast, postgres: Postgres
) -> None:
    mine = some(cast, 200) + some(cast, 200, 1)
    others = (
        some(cast, 150, 1, model="o3")
        + some(cast, 130, 0, project_id=cast.chat)
        + some(cast, 140, 1, workspace_id=cast.bob)
    )
    start = cast.noon // DAY_US * DAY_US
    cut = Period(cast.noon + 100 * 1_000_000, cast.noon + DAY_US + HOUR_US)
    only = {"filters": (cast.only("model", "gpt-4o"), cast.only("project", cast.shop))}

    async def work(store: EventStore) -> list[list[Any]]:
        await store.append([mine, others])
        whole = await asked(store, cast, **only)
        one_day = await asked(store, cast, period=Period(start, start + DAY_US), **only)
        return [whole, one_day, await asked(store, cast, period=cut, **only)]

    within = [e for e in mine if cut.start_us <= e.event.occurred_at < cut.end_us]
    assert on(postgres.new_database(), cast, work) == [
        near(exact(events)) for events in (mine, mine[:200], within)
    ]


@settings(deadline=None)
@given(st.lists(st.integers(0, 3_600_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_quantile_by_steps_is_off_by_no_more_than_is_said(
    milliseconds: list[int], fraction: float
) -> None:
    steps: dict[int, int] = {}
    for value in milliseconds:
        octaves = np.log2(max(value, EXACT_BELOW) / EXACT_BELOW)
        step = value if value < EXACT_BELOW else EXACT_BELOW + int(np.floor(octaves * 64))
        steps[step] = steps.get(step, 0) + 1
    halves = [pack(dict(list(steps.items())[::2])), pack(dict(list(steps.items())[1::2]))]
    assert quantile(add_up(halves), fraction) == pytest.approx(
        float(np.quantile(milliseconds, fraction)), rel=GREATEST_ERROR * 1.01, abs=1e-6
    )


def test_of_nothing_there_is_none(cast: Cast, postgres: Postgres) -> None:
    assert quantile(add_up([]), 0.5) is None
    assert on(postgres.new_database(), cast, lambda store: asked(store, cast)) == [None] * 3

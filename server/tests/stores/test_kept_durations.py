"""Counts of durations that are kept are those of the events, whatever came, went or changed since."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.tests.postgres_server import Postgres
from server.tests.stores.conftest import Cast
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import EventStore, Repricing
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US, FrozenClock
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres.connections import Connections
from tokenwatcher_server.stores.postgres.durations import Durations
from tokenwatcher_server.stores.postgres.kept_durations import keep
from tokenwatcher_server.stores.postgres.steps import GREATEST_ERROR
from tokenwatcher_server.stores.postgres.store import open_postgres

MINUTE_US = HOUR_US // 60
BOUND = GREATEST_ERROR * 1.01
MEASURES = ("latency_p50", "latency_p95", "time_to_first_token_p50")
FIRST = Cast.noon // DAY_US * DAY_US
"""The beginning of four days that everything happens in."""

instants = st.integers(0, 4 * DAY_US // MINUTE_US).map(lambda minutes: FIRST + minutes * MINUTE_US)
calls = st.tuples(
    instants, st.integers(0, 100_000), st.sampled_from(["gpt-4o", "o3"]),
    st.sampled_from([Cast.shop, Cast.chat]), st.sampled_from(["ada", "ben"]),
)  # fmt: skip
happenings = st.one_of(
    st.tuples(st.just("come"), st.lists(calls, min_size=1, max_size=8)),
    st.tuples(st.just("come"), st.lists(calls, min_size=1, max_size=8)),
    st.tuples(st.just("erase person"), st.sampled_from(["ada", "ben"])),
    st.tuples(st.just("erase old"), instants),
    st.tuples(st.just("reprice"), st.integers(0, 99)),
    st.tuples(st.just("rebuild"), instants),
    st.tuples(st.just("pass"), st.integers(1, 30)),
    st.tuples(st.just("ask"), st.tuples(instants, instants, st.booleans(), st.booleans())),
)


class Told:
    """A store for which any event is many, told what happens; it knows what there should be."""

    def __init__(self, store: EventStore, clock: FrozenClock, cast: Cast) -> None:
        self._store, self._clock, self._cast = store, clock, cast
        self.events: list[PricedEvent] = []

    async def happen(self, what: str, which: Any) -> None:
        everyone = (self._cast.alice,)
        if what == "come":
            await self._come(which)
        elif what == "erase person":
            self.events = [each for each in self.events if each.event.user_id != which]
            await self._store.erase([Erasure(workspaces=everyone, fate="remove", user=which)])
        elif what == "erase old":
            self.events = [each for each in self.events if each.event.occurred_at >= which]
            await self._store.erase([Erasure(workspaces=everyone, fate="remove", before_us=which)])
        elif what == "reprice" and self.events:
            event = self.events[which % len(self.events)].event
            cost = self._cast.cost(which, which)
            await self._store.reprice([Repricing(event.workspace_id, event.id, cost)])
        elif what == "rebuild":
            await self._store.rebuild_totals(Period(which, which + 5 * HOUR_US), None)
        elif what == "pass":
            self._clock.advance(seconds=which * 3600)
        elif what == "ask":
            start, end, *limited = which
            await self.ask(Period(min(start, end), max(start, end) + 1), *limited)

    async def _come(self, which: Sequence[tuple[Any, ...]]) -> None:
        batch = [
            self._cast.event(
                occurred_at=at, latency_ms=latency, model=model, project_id=project, user_id=user,
                time_to_first_token_ms=latency // 3 if latency % 2 else None,
            )
            for at, latency, model, project, user in which
        ]  # fmt: skip
        self.events += batch
        await self._store.append([batch])

    async def ask(self, period: Period, one_model: bool, one_project: bool) -> None:
        changes: dict[str, Any] = {"period": period}
        if one_model:
            changes["filters"] = (self._cast.only("model", "o3"),)
        if one_project:
            changes["filters"] = (
                *changes.get("filters", ()),
                self._cast.only("project", Cast.chat),
            )
        found = [
            each.event
            for each in self.events
            if period.start_us <= each.event.occurred_at < period.end_us
            and not (one_model and each.event.model != "o3")
            and not (one_project and each.event.project_id != Cast.chat)
        ]
        [[row]] = await self._store.usage([self._cast.query(*MEASURES, **changes)])
        took = [each.latency_ms for each in found]
        first = [each.time_to_first_token_ms for each in found]
        assert list(row.values) == [near(took, 0.5), near(took, 0.95), near(first, 0.5)]
        await _all_is_kept()


def near(milliseconds: Sequence[int | None], fraction: float) -> Any:
    known = [each for each in milliseconds if each is not None]
    return pytest.approx(np.quantile(known, fraction), rel=BOUND) if known else None


async def _all_is_kept() -> None:
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(happenings, max_size=25))
def test_they_are_those_of_the_events_after_anything_that_happens(
    cast: Cast, postgres: Postgres, happened: list[tuple[str, Any]]
) -> None:
    async def run() -> None:
        clock = FrozenClock(FIRST + 2 * DAY_US + HOUR_US // 2)
        store = await open_postgres(postgres.new_database(), clock, 60, many_events=0)
        try:
            told = Told(store, clock, cast)
            for what, which in happened:
                await told.happen(what, which)
            for _ in range(2):
                await told.ask(
                    Period(FIRST, FIRST + 5 * DAY_US), one_model=False, one_project=False
                )
            assert (await store.verify()).faults == ()
        finally:
            await store.close()

    asyncio.run(run())


def test_days_and_hours_that_are_over_are_not_read_again(cast: Cast, postgres: Postgres) -> None:
    url, period = postgres.new_database(), Period(FIRST - DAY_US, FIRST + DAY_US)
    question = cast.query(*MEASURES, period=period)
    hours = [FIRST + hour * HOUR_US for hour in (-5, 3, 12, 13)]
    batch = [cast.event(occurred_at=at, latency_ms=10 + at % 7) for at in hours]
    late = cast.event(occurred_at=hours[1] + MINUTE_US, latency_ms=900)

    async def run() -> list[Any]:
        clock = FrozenClock(hours[-1] + HOUR_US // 2)
        store = await open_postgres(url, clock, 60, many_events=0)
        answers = []
        await store.append([batch])
        for happens in (
            "nothing",
            "all but the running hour is gone",
            "the day ends",
            "one is late",
        ):
            if happens == "all but the running hour is gone":
                postgres.sql(f"delete from events where occurred_at < {hours[-1]}", url)
            elif happens == "the day ends":
                clock.advance(seconds=86_400)
            elif happens == "one is late":
                postgres.sql(f"delete from events where occurred_at >= {hours[-1]}", url)
                await store.append([[late]])
            answers.append((await store.usage([question]))[0][0].values)
            await _all_is_kept()
        await store.close()
        return answers

    first, *others, last = asyncio.run(run())
    assert others == [first] * 2
    # of the hour that one came late to, nothing else is left; the other hours are as they were kept
    latencies = [10 + at % 7 for at in (hours[0], hours[2], hours[3])] + [900]
    assert last[0] == pytest.approx(np.quantile(latencies, 0.5))
    assert last[1] == pytest.approx(np.quantile(latencies, 0.95), rel=BOUND)


def test_a_call_in_the_place_of_one_that_was_erased_is_seen(cast: Cast, postgres: Postgres) -> None:
    period = Period(FIRST, FIRST + DAY_US)
    erased = cast.event(occurred_at=FIRST, latency_ms=5, user_id="ada")
    other = cast.event(occurred_at=FIRST, latency_ms=50, user_id="ben")

    async def run() -> list[Any]:
        clock = FrozenClock(FIRST + DAY_US)
        store = await open_postgres(postgres.new_database(), clock, 60, many_events=0)
        question = cast.query("latency_p50", period=period)
        await store.append([[erased]])
        answers = [await store.usage([question])]
        await _all_is_kept()
        await store.erase([Erasure(workspaces=(cast.alice,), fate="remove", user="ada")])
        await store.append([[other]])
        answers.append(await store.usage([question]))
        await store.close()
        return [row.values for [[row]] in answers]

    assert asyncio.run(run()) == [(5.0,), (50.0,)]


@pytest.mark.parametrize("happens", ["erase", "rebuild"])
def test_what_was_counted_before_events_were_taken_out_is_not_kept_after(
    cast: Cast, postgres: Postgres, happens: str
) -> None:
    url, period = postgres.new_database(), Period(FIRST, FIRST + DAY_US)
    now_us = FIRST + DAY_US

    async def run() -> None:
        store = await open_postgres(url, FrozenClock(now_us), 60)
        connections = Connections(url, 60)
        await connections.open()
        await store.append([[cast.event(occurred_at=FIRST, latency_ms=5, user_id="ada")]])
        durations = Durations(now_us, many_events=0)
        async with connections.snapshot() as connection:
            await durations.quantiles(connection, cast.query("latency_p50", period=period))
        if happens == "erase":
            await store.erase([Erasure(workspaces=(cast.alice,), fate="remove", user="ada")])
        else:
            await store.rebuild_totals(period, None)
        assert durations.counted
        async with connections.writer() as connection:
            await keep(connection, durations.counted, durations.epoch)
        await connections.close()
        await store.close()

    asyncio.run(run())
    assert postgres.sql("select count(*) from durations", url).strip() == "0"


def test_counts_that_are_wrong_are_named_and_made_right(cast: Cast, postgres: Postgres) -> None:
    url, period = postgres.new_database(), Period(FIRST, FIRST + DAY_US)

    async def run() -> list[tuple[str, ...]]:
        store = await open_postgres(url, FrozenClock(FIRST + DAY_US), 60, many_events=0)
        await store.append([[cast.event(occurred_at=FIRST, latency_ms=at) for at in (5, 6)]])
        await store.usage([cast.query("latency_p50", period=period)])
        await _all_is_kept()
        faults = [(await store.verify()).faults]
        postgres.sql("update events set latency_ms = 7 where latency_ms = 6", url)
        postgres.sql("update hours set latency_ms = latency_ms + 1", url)
        faults.append((await store.verify()).faults)
        await store.rebuild_totals(period, None)
        faults.append((await store.verify()).faults)
        await store.close()
        return faults

    sound, [fault], again = asyncio.run(run())
    assert sound == again == ()
    assert fault.startswith("durations: the counts of 2026-05-28T00:00")
    assert "rollups rebuild" in fault

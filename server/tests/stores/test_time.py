"""Hours, days and months of a zone are those of its clocks, also where they change."""

from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US, to_us
from tokenwatcher_server.kernel.period import Interval, Period

LAST = HOUR_US - 1


def instant(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"],
    "America/New_York": ["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"],
    "Australia/Lord_Howe": ["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"],
    "Asia/Kolkata": ["2026-03-31T18:30:00Z", "2026-12-31T18:30:00Z"],
    "UTC": ["2026-03-01T00:00:00Z", "2028-03-01T00:00:00Z", "2026-12-31T23:00:00Z"],
}
"""Instants around which a zone's clocks go forward or back, or its month or year begins."""


def around(change: int) -> list[int]:
    """Moments close to every hour of two days, and one microsecond before each."""
    hours = range(change - 24 * HOUR_US, change + 24 * HOUR_US, HOUR_US)
    return [hour + within for hour in hours for within in (0, LAST)]


def expected(instants: list[int], interval: Interval, zone: ZoneInfo) -> dict[int, int]:
    """By the zone's own calendar, one instant at a time."""

    def bucket(at: int) -> int:
        if interval == "hour":
            return at // HOUR_US * HOUR_US
        local = datetime.fromtimestamp(at // 1_000_000, zone)
        day = 1 if interval == "month" else local.day
        return to_us(datetime(local.year, local.month, day, tzinfo=zone))

    return dict(Counter(map(bucket, instants)))


@pytest.mark.parametrize("name", CHANGES)
def test_every_event_falls_in_one_bucket_of_its_zone(opened: Any, cast: Any, name: str) -> None:
    zone = ZoneInfo(name)
    instants = sorted(at for change in CHANGES[name] for at in around(instant(change)))
    events = [cast.event(occurred_at=at) for at in instants]
    whole = Period(instants[0], instants[-1] + 1)
    uneven = Period(instants[0] + 1, instants[-1])
    intervals: list[Interval] = ["hour", "day", "month"]

    async def work(store: EventStore) -> None:
        for period in (whole, uneven):
            within = [at for at in instants if period.start_us <= at < period.end_us]
            queries = [
                cast.query("calls", interval=interval, zone=zone, period=period)
                for interval in intervals
            ]
            for interval, rows in zip(intervals, await store.usage(queries), strict=True):
                found = {row.bucket_us: row.values[0] for row in rows}
                assert found == expected(within, interval, zone)

    opened.after([events], work)


def test_a_period_holds_its_start_and_not_its_end(opened: Any, cast: Any) -> None:
    midnight = instant("2026-05-01T00:00:00Z")
    events = [cast.event(occurred_at=at) for at in (midnight - 1, midnight, midnight + LAST)]
    periods = {
        Period(midnight - HOUR_US, midnight): 1,
        Period(midnight, midnight + HOUR_US): 2,
        Period(midnight, midnight + LAST): 1,
        Period(midnight - 1, midnight + 1): 2,
    }

    async def work(store: EventStore) -> None:
        for period, calls in periods.items():
            [[row]] = await store.usage([cast.query("calls", period=period)])
            assert row.values == (calls,)
            assert len(await store.events(cast.list(period=period))) == calls

    opened.after([events], work)

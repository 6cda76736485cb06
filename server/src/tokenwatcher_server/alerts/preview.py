"""When a rule would have told in the last 90 days, by the decision that also tells now.

Windows are looked at at the end of each of their hours or days; a rule of the last hour is taken
by whole hours.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.alerts.evaluate import Place, Standing, transitions
from tokenwatcher_server.alerts.measure import (
    LOOKBACKS,
    Measured,
    by_subject,
    comparison,
    query_of,
    value_of,
    window,
)
from tokenwatcher_server.alerts.rule import Rule, Window
from tokenwatcher_server.events.query import UsageRow
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.period import Interval, Period, bucket_starts, day_of, last_days

Values = Callable[[int, int, Period], dict[str, int]]

DAYS: Final = 90
_INTERVALS: Final[Mapping[Window, Interval]] = {
    "hour": "hour",
    "last hour": "hour",
    "day": "day",
    "week": "day",
    "month": "day",
}


class Fired(msgspec.Struct, frozen=True):
    """One time that the rule would have told; `value` is what it had reached by then."""

    at: int
    """The end of the hour or day that passed the step, or now."""
    step: int
    subject: str
    value: int


class Day(msgspec.Struct, frozen=True):
    """The most that was measured on a day, in whole parts; None where there was nothing."""

    start: int
    value: int | None
    subject: str


class Preview(msgspec.Struct, frozen=True):
    days: tuple[Day, ...]
    fired: tuple[Fired, ...]


class Moment(msgspec.Struct, frozen=True):
    """The values at the end of one hour or day."""

    start: int
    at: int
    window_start: int
    values: Mapping[str, int]


async def preview(store: EventStore, rule: Rule, now_us: int, *, cooldown_seconds: int) -> Preview:
    """Walk a rule through the last 90 days, today the last of them."""
    zone = ZoneInfo(rule.zone)
    shown = last_days(DAYS, now_us, zone)
    lookback = LOOKBACKS.get(rule.type)
    first = window(rule.watched.window, shown.start_us, zone).start_us
    first = min(first, shown.start_us) - (0 if lookback is None else lookback.length_us)
    query = query_of(rule, Period(first, shown.end_us), _INTERVALS[rule.watched.window])
    [rows] = await store.usage([query])
    # an hourly rule takes thousands of decisions: not on the loop that acknowledges events
    return await asyncio.to_thread(_walk, rule, rows, shown, now_us, cooldown_seconds)


def _walk(
    rule: Rule, rows: Sequence[UsageRow], shown: Period, now_us: int, cooldown_seconds: int
) -> Preview:
    moments = list(_moments(rule, rows, shown, now_us))
    fired = _fired(rule, moments, cooldown_seconds)
    return Preview(
        days=_days(moments, shown, ZoneInfo(rule.zone)),
        fired=tuple(one for one in fired if one.at > shown.start_us),
    )


def _moments(rule: Rule, rows: Sequence[UsageRow], shown: Period, now_us: int) -> Iterator[Moment]:
    zone, kind = ZoneInfo(rule.zone), rule.watched.window
    first = window(kind, shown.start_us, zone).start_us
    walked = Period(min(first, shown.start_us), now_us + 1)
    starts = list(bucket_starts(walked, _INTERVALS[kind], zone))
    values_at = _values_at(rule, rows)
    for start, end in zip(starts, [*starts[1:], now_us], strict=True):
        over = Period(start, start + HOUR_US) if kind == "last hour" else window(kind, start, zone)
        at = min(end, now_us)
        window_start = 0 if kind == "last hour" else over.start_us
        yield Moment(start, at, window_start, values_at(start, at, over))


def _values_at(rule: Rule, rows: Sequence[UsageRow]) -> Values:
    """What gives the values at the end `at` of the hour or day from `start`, in their order."""
    if rule.type in LOOKBACKS:
        return _comparing(rule, rows)
    if rule.watched.window in {"week", "month"}:
        return _running(rule, rows)
    found: dict[int, dict[str, Measured]] = {}
    for subject, buckets in by_subject(rows).items():
        for start, measured in buckets.items():
            found.setdefault(start, {})[subject] = measured

    def values(start: int, at: int, over: Period) -> dict[str, int]:
        return {
            subject: value
            for subject, measured in found.get(start, {}).items()
            if (value := value_of(rule, measured, over, at)) is not None
        }

    return values


def _comparing(rule: Rule, rows: Sequence[UsageRow]) -> Values:
    subjects = {subject: comparison(rule, buckets) for subject, buckets in by_subject(rows).items()}

    def values(start: int, _at: int, _over: Period) -> dict[str, int]:
        return {
            subject: value
            for subject, value_from in subjects.items()
            if (value := value_from(start)) is not None
        }

    return values


def _running(rule: Rule, rows: Sequence[UsageRow]) -> Values:
    """Sums that run on through a week or a month; rules of those look at no subjects."""
    days = by_subject(rows).get("", {})
    current, sums = 0, list[int]()

    def values(start: int, at: int, over: Period) -> dict[str, int]:
        nonlocal current
        if over.start_us != current:
            current = over.start_us
            sums.clear()
        if (measured := days.get(start)) is not None and measured[0] is not None:
            sums.append(int(measured[0]))
        value = value_of(rule, [sum(sums)], over, at) if sums else None
        return {} if value is None else {"": value}

    return values


def _fired(rule: Rule, moments: Sequence[Moment], cooldown_seconds: int) -> Iterator[Fired]:
    told: dict[Place, Standing] = {}
    for moment in moments:
        told = {
            place: one for place, one in told.items() if place.window_start == moment.window_start
        }
        for one in transitions(
            rule,
            moment.window_start,
            moment.values,
            told,
            now_us=moment.at,
            cooldown_seconds=cooldown_seconds,
        ):
            told[one.place] = Standing(one.told, moment.at)
            if one.told == "triggered":
                yield Fired(moment.at, one.place.step, one.place.subject, one.value)


def _days(moments: Sequence[Moment], shown: Period, zone: ZoneInfo) -> tuple[Day, ...]:
    most: dict[object, tuple[int, str]] = {}
    for moment in moments:
        day = day_of(moment.start, zone)
        for subject, value in moment.values.items():
            most[day] = max(most.get(day, (value, subject)), (value, subject))
    return tuple(
        Day(start, *most.get(day_of(start, zone), (None, "")))
        for start in bucket_starts(shown, "day", zone)
    )

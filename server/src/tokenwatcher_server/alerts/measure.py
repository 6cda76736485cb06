"""What a rule's value is at an instant: one usage query a rule, many rules in one question."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.alerts import anomaly, growth
from tokenwatcher_server.alerts.rule import Rule, RuleType, Window, subject_of
from tokenwatcher_server.events.query import Dimension, Field, Filter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import (
    Interval,
    Period,
    day_of,
    day_start,
    month_of,
    one_day,
)
from tokenwatcher_server.usage.forecast import month_end

MOST_SUBJECTS = 1_000
MOST_ROWS = 100_000
"""Of subjects over time; those with most are kept."""
LEAST_CALLS = 20
"""Fewer calls have no error rate: one failure of three is no news."""
LATE_US: Final[Mapping[Window, int]] = {
    "hour": HOUR_US,
    "day": DAY_US,
    "week": DAY_US,
    "month": DAY_US,
}
"""How long after its end a window is still looked at, for events that arrive late."""

Measured = Sequence[int | float | None]
Buckets = Mapping[int, Measured]
"""What was measured, by the start of each hour or day."""


class Lookback(msgspec.Struct, frozen=True):
    """What a rule that compares its window with the past needs of it."""

    interval: Interval
    length_us: int


LOOKBACKS: Final[Mapping[RuleType, Lookback]] = {
    "cost_anomaly": Lookback("hour", anomaly.HISTORY_US),
    "prompt_growth": Lookback("day", growth.HISTORY_US),
}


class Asked(msgspec.Struct, frozen=True):
    """A rule, and the instant its value is wanted for."""

    rule: Rule
    at_us: int


class Observed(msgspec.Struct, frozen=True):
    """`values` are by subject, under the empty text where there is one sum."""

    window_start: int
    values: Mapping[str, int]
    complete: bool = True
    """False where there are more subjects than are looked at."""


async def observe(store: EventStore, asked: Sequence[Asked]) -> list[Observed]:
    """The value of each rule at its instant, all from one snapshot of the store."""
    periods = [window(one.rule.watched.window, one.at_us, ZoneInfo(one.rule.zone)) for one in asked]
    queries = [_query(one.rule, period) for one, period in zip(asked, periods, strict=True)]
    answers = await store.usage(queries)
    return [
        Observed(
            0 if one.rule.watched.window == "last hour" else period.start_us,
            _values(one, rows, period),
            query.limit is None or len(rows) < query.limit,
        )
        for one, query, period, rows in zip(asked, queries, periods, answers, strict=True)
    ]


def just_ended(rules: Sequence[Rule], now_us: int) -> list[Asked]:
    """The last instants of windows that ended lately, of rules that watched them by then."""
    found = []
    for rule in rules:
        late_us = LATE_US.get(rule.watched.window, 0)
        if not late_us or rule.type == "cost_forecast":
            continue
        end = window(rule.watched.window, now_us, ZoneInfo(rule.zone)).start_us
        watched_since = max(rule.created_at, rule.changed_at, rule.muted_until or 0)
        if now_us - end < late_us and watched_since < end:
            found.append(Asked(rule, end - 1))
    return found


def window(kind: Window, now_us: int, zone: ZoneInfo) -> Period:
    """The window of a rule that `now_us` falls in."""
    if kind == "last hour":
        return Period(now_us - HOUR_US, now_us + 1)
    if kind == "hour":
        start = now_us // HOUR_US * HOUR_US
        return Period(start, start + HOUR_US)
    today = day_of(now_us, zone)
    if kind == "day":
        return one_day(today, zone)
    if kind == "month":
        return month_of(now_us, zone)
    monday = today - timedelta(days=today.weekday())
    return Period(day_start(monday, zone), day_start(monday + timedelta(days=7), zone))


def query_of(rule: Rule, period: Period, interval: Interval | None) -> UsageQuery:
    """What the rule measures in a period: in all, or by hours or days of its zone."""
    subject = subject_of(rule)
    projects = None if rule.project_id is None else (ProjectId(rule.project_id),)
    measures = rule.watched.measures
    over_time = subject is not None and interval is not None
    return UsageQuery(
        scope=Scope((WorkspaceId(rule.workspace_id),), projects),
        period=period,
        interval=interval,
        zone=ZoneInfo(rule.zone),
        measures=measures,
        group_by=() if subject is None else (subject,),
        filters=_filters(rule),
        order_by=measures[0] if over_time else None,
        limit=None if subject is None else MOST_ROWS if over_time else MOST_SUBJECTS,
    )


def _query(rule: Rule, period: Period) -> UsageQuery:
    lookback = LOOKBACKS.get(rule.type)
    if lookback is None:
        return query_of(rule, period, None)
    longer = Period(period.start_us - lookback.length_us, period.end_us)
    return query_of(rule, longer, lookback.interval)


def _filters(rule: Rule) -> tuple[Filter, ...]:
    fields: tuple[tuple[Field, str | None], ...] = (
        ("provider", rule.provider),
        ("model", rule.model),
        ("status", "success" if rule.type == "prompt_growth" else None),
    )
    found = [Filter(Dimension(name), (value,)) for name, value in fields if value is not None]
    if rule.tag_key is not None and rule.tag_value is not None:
        found.append(Filter(Dimension("tag", rule.tag_key), (rule.tag_value,)))
    return tuple(found)


def by_subject(rows: Sequence[UsageRow]) -> dict[str, dict[int, Measured]]:
    """Rows over time, by subject; events without a user or without the tag are nobody's."""
    found: dict[str, dict[int, Measured]] = {}
    for row in rows:
        subject = row.group[0] if row.group else ""
        if subject is not None:
            found.setdefault(subject, {})[row.bucket_us or 0] = row.values
    return found


def _values(asked: Asked, rows: Sequence[UsageRow], period: Period) -> dict[str, int]:
    found: dict[str, int] = {}
    for subject, buckets in by_subject(rows).items():
        if asked.rule.type in LOOKBACKS:
            value = comparison(asked.rule, buckets)(period.start_us)
        else:
            [measured] = buckets.values()
            value = value_of(asked.rule, measured, period, asked.at_us)
        if value is not None:
            found[subject] = value
    return found


def comparison(rule: Rule, buckets: Buckets) -> Callable[[int], int | None]:
    """Gives a rule's value for the hour or day that starts then, held against those before."""
    if rule.type == "cost_anomaly":
        hours = {start: int(measured[0] or 0) for start, measured in buckets.items()}
        return partial(anomaly.excess, hours)
    medians = {
        start: tokens
        for start, (calls, median) in buckets.items()
        if (tokens := growth.known(int(calls or 0), median)) is not None
    }
    return partial(growth.growth, medians)


def value_of(rule: Rule, measured: Measured, period: Period, now_us: int) -> int | None:
    """A rule's value in whole parts of its unit; None where there is nothing to say yet."""
    if rule.type == "error_rate":
        errors, calls = (int(value or 0) for value in measured)
        return None if calls < LEAST_CALLS else errors * 10_000 // calls
    [value] = measured
    if value is None:
        return None
    if rule.type == "cost_forecast":
        return month_end(int(value), period, now_us)
    return int(value)

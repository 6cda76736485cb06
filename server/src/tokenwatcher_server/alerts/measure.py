"""What a rule's value is now: one usage query a rule, many rules in one question."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.alerts.anomaly import HISTORY_US, excess
from tokenwatcher_server.alerts.rule import Rule, Window, subject_of
from tokenwatcher_server.events.query import Dimension, Field, Filter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import Period, day_of, day_start, month_of, one_day
from tokenwatcher_server.usage.forecast import month_end

MOST_SUBJECTS = 1_000
LEAST_CALLS = 20
"""Fewer calls have no error rate: one failure of three is no news."""


class Observed(msgspec.Struct, frozen=True):
    """`values` are by subject, under the empty text where there is one sum."""

    window_start: int
    values: Mapping[str, int]


async def observe(store: EventStore, rules: Sequence[Rule], now_us: int) -> list[Observed]:
    """The values of all the rules, from one snapshot of the store."""
    periods = [window(rule.watched.window, now_us, ZoneInfo(rule.zone)) for rule in rules]
    queries = [_query(rule, period) for rule, period in zip(rules, periods, strict=True)]
    answers = await store.usage(queries)
    return [
        Observed(
            0 if rule.watched.window == "last hour" else period.start_us,
            _values(rule, rows, period, now_us),
        )
        for rule, period, rows in zip(rules, periods, answers, strict=True)
    ]


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


def _query(rule: Rule, period: Period) -> UsageQuery:
    subject = subject_of(rule)
    projects = None if rule.project_id is None else (ProjectId(rule.project_id),)
    by_hour = rule.type == "cost_anomaly"
    return UsageQuery(
        scope=Scope((WorkspaceId(rule.workspace_id),), projects),
        period=Period(period.start_us - HISTORY_US, period.end_us) if by_hour else period,
        interval="hour" if by_hour else None,
        measures=rule.watched.measures,
        group_by=() if subject is None else (subject,),
        filters=_filters(rule),
        limit=MOST_SUBJECTS if subject is not None else None,
    )


def _filters(rule: Rule) -> tuple[Filter, ...]:
    fields: tuple[tuple[Field, str | None], ...] = (
        ("provider", rule.provider),
        ("model", rule.model),
    )
    found = [Filter(Dimension(name), (value,)) for name, value in fields if value is not None]
    if rule.tag_key is not None and rule.tag_value is not None:
        found.append(Filter(Dimension("tag", rule.tag_key), (rule.tag_value,)))
    return tuple(found)


def _values(rule: Rule, rows: Sequence[UsageRow], period: Period, now_us: int) -> dict[str, int]:
    """By subject; events without a user or without the tag are nobody's."""
    if rule.type == "cost_anomaly":
        hours = {row.bucket_us or 0: int(row.values[0] or 0) for row in rows}
        beyond = excess(hours, period.start_us)
        return {} if beyond is None else {"": beyond}
    found: dict[str, int] = {}
    for row in rows:
        value = value_of(rule, row.values, period, now_us)
        subject = row.group[0] if row.group else ""
        if value is not None and subject is not None:
            found[subject] = value
    return found


def value_of(
    rule: Rule, measured: Sequence[int | float | None], period: Period, now_us: int
) -> int | None:
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

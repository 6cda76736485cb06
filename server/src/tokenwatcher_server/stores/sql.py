"""A usage query as SQL: one compiler, and one table of what differs between engines.

Values are always bound, never written into the text. Every statement is limited to its scope.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from tokenwatcher_server.events.query import (
    Dimension,
    EventFilter,
    Field,
    Filter,
    Measure,
    Scope,
    UsageQuery,
    UsageRow,
)
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.kernel.period import Period, day_start
from tokenwatcher_server.stores.zones import offsets

_EPOCH_DAY = date(1970, 1, 1)

FIELD_COLUMNS: Mapping[Field, str] = {
    "workspace": "workspace_id",
    "project": "project_id",
    "provider": "provider",
    "model": "model",
    "requested_model": "requested_model",
    "service_tier": "service_tier",
    "status": "status",
    "event_type": "event_type",
    "usage_quality": "usage_quality",
    "user": "user_id",
    "end_user": "end_user_id",
    "session": "session_id",
    "error_type": "error_type",
    "price_id": "price_id",
}

QUANTILE_DIGITS = 6
"""Behind the point of a quantile: what falls between two whole numbers has two at most, and the
rest is the noise of the arithmetic, which differs by how it is done and on what machine."""

Placeholder = Callable[[int, object], str]
"""What stands for a statement's n-th value, from 1 on."""


def _numbered(place: int, _value: object) -> str:
    return f"${place}"


class Dialect(msgspec.Struct, frozen=True):
    """What differs between engines."""

    tag: Callable[[str, "Bindings"], str]
    """A tag's value by its key."""
    event_id: str
    """An event's id as text that compares byte by byte."""
    quantile: str
    """Of `{column}` at `{fraction}`, exact, between two values where it falls between."""
    month: str
    """Months since the year 0 of `{local}`, microseconds of local time."""
    whole: str = "{value} // {by}"
    """How often `by` goes into a value that is never negative."""
    placeholder: Placeholder = _numbered


class Bindings:
    """Collects a statement's values; `bind` gives the placeholder that stands for one."""

    def __init__(self, placeholder: Placeholder = _numbered) -> None:
        self.values: list[Any] = []
        self._placeholder = placeholder

    def bind(self, value: object) -> str:
        self.values.append(value)
        return self._placeholder(len(self.values), value)

    def bind_all(self, values: Sequence[object]) -> str:
        return ", ".join(map(self.bind, values))


QUANTILES: Mapping[Measure, tuple[str, float]] = {
    "latency_p50": ("latency_ms", 0.5),
    "latency_p95": ("latency_ms", 0.95),
    "time_to_first_token_p50": ("time_to_first_token_ms", 0.5),
    "input_tokens_p50": ("input_tokens", 0.5),
}


class Statement(msgspec.Struct, frozen=True):
    text: str
    values: list[Any]


class Source(msgspec.Struct, frozen=True):
    """A table that usage can be read from."""

    table: str
    instant: str
    """The column that says when."""
    measures: Mapping[Measure, str]
    present: str | None = None
    """Which groups there are, where rows can cancel each other out; None for all."""


def summed(*columns: str) -> str:
    """The sum over all of these columns, 0 where there is nothing."""
    total = " + ".join(f"coalesce(sum({column}), 0)" for column in columns)
    return f"({total})"


EVENTS = Source(
    table="events",
    instant="occurred_at",
    measures={
        "cost": "sum(cost_total)",
        "input_tokens": summed("input_tokens"),
        "output_tokens": summed("output_tokens"),
        "total_tokens": summed("input_tokens", "output_tokens"),
        "cache_read_tokens": summed("cache_read", "cache_read_audio"),
        "cache_write_tokens": summed("cache_write_5m", "cache_write_1h", "cache_write_other"),
        "reasoning_tokens": summed("output_reasoning"),
        "calls": "count(*)",
        "errors": "count(case when status = 'error' then 1 end)",
        "unpriced": "count(case when event_type = 'usage' and cost_total is null then 1 end)",
        "cache_savings": "sum(cache_savings)",
        "reported_cost": "sum(reported_cost)",
        "latency_avg": "cast(sum(latency_ms) as float8) / nullif(count(latency_ms), 0)",
        "users": "count(distinct user_id)",
    },
)


def usage_statement(query: UsageQuery, source: Source, dialect: Dialect) -> Statement:
    """Compile a query. Its rows are read by `usage_rows`."""
    bindings = Bindings(dialect.placeholder)
    keys = [_bucket(query, source, dialect, bindings)] if query.interval else []
    keys += [_dimension(dimension, query.scope, dialect, bindings) for dimension in query.group_by]
    names = [f"k{number}" for number in range(len(keys))]
    selected = [f"{key} as {name}" for key, name in zip(keys, names, strict=True)]
    selected += [
        f"{_measure(measure, source, dialect)} as m{number}"
        for number, measure in enumerate(query.measures)
    ]
    text = (
        f"select {', '.join(selected)} from {source.table}"
        f" where {_where(query.scope, query.period, query.filters, source, dialect, bindings)}"
    )
    if keys:
        text += f" group by {', '.join(names)}"
        text += f" having {source.present}" if source.present else ""
    text += f" order by {_order(query, names)}"
    if query.limit is not None:
        text += f" limit {bindings.bind(query.limit)}"
    return Statement(text, bindings.values)


def usage_rows(query: UsageQuery, rows: Sequence[tuple[Any, ...]]) -> list[UsageRow]:
    """Turn a statement's rows into those the query promises."""
    keyed = 1 if query.interval else 0
    end = keyed + len(query.group_by)
    return [
        UsageRow(
            bucket_us=_bucket_start(query, row[0]) if keyed else None,
            group=row[keyed:end],
            values=row[end:],
        )
        for row in rows
    ]


def events_in(query: UsageQuery, period: Period, dialect: Dialect, bindings: Bindings) -> str:
    """The condition of a query's events in a part of its period."""
    return _where(query.scope, period, query.filters, EVENTS, dialect, bindings)


def events_where(wanted: EventFilter, dialect: Dialect, bindings: Bindings) -> str:
    """The condition of an event list: its scope, period, filters and place."""
    where = _where(wanted.scope, wanted.period, wanted.filters, EVENTS, dialect, bindings)
    if wanted.before is None:
        return where
    occurred_at, event_id = map(bindings.bind, wanted.before)
    # the first half is what an index can find its place by
    return (
        f"{where} and occurred_at <= {occurred_at}"
        f" and (occurred_at < {occurred_at} or {dialect.event_id} < {event_id})"
    )


def scope_condition(scope: Scope, bindings: Bindings) -> str:
    conditions = [_one_of("workspace_id", scope.workspaces, bindings)]
    if scope.projects is not None:
        conditions.append(_one_of("project_id", scope.projects, bindings))
    return " and ".join(conditions)


def _where(
    scope: Scope,
    period: Period,
    filters: Sequence[Filter],
    source: Source,
    dialect: Dialect,
    bindings: Bindings,
) -> str:
    start, end = bindings.bind(period.start_us), bindings.bind(period.end_us)
    conditions = [
        f"{source.instant} >= {start} and {source.instant} < {end}",
        scope_condition(scope, bindings),
    ]
    for wanted in filters:
        column = _dimension(wanted.dimension, scope, dialect, bindings)
        conditions.append(_one_of(column, wanted.values, bindings))
    return " and ".join(conditions)


def _one_of(column: str, values: Sequence[str | None], bindings: Bindings) -> str:
    """One of the values; None is absence, and no values at all are no events at all."""
    named = [value for value in values if value is not None]
    choices = [f"{column} in ({bindings.bind_all(named)})"] if named else []
    if len(named) < len(values):
        choices.append(f"{column} is null")
    return f"({' or '.join(choices)})" if choices else "false"


def _dimension(dimension: Dimension, scope: Scope, dialect: Dialect, bindings: Bindings) -> str:
    if dimension.field == "tag":
        return dialect.tag(dimension.tag_key or "", bindings)
    if dimension.field == "environment":
        return _environment(scope, bindings)
    return FIELD_COLUMNS[dimension.field]


def _environment(scope: Scope, bindings: Bindings) -> str:
    """What the scope says of the event's project; nothing where it says nothing."""
    cases = [
        f"when {bindings.bind(project)} then {bindings.bind(name)}"
        for project, name in scope.environments
    ]
    return f"case project_id {' '.join(cases)} end" if cases else "cast(null as varchar)"


def _measure(measure: Measure, source: Source, dialect: Dialect) -> str:
    if measure in QUANTILES:
        column, fraction = QUANTILES[measure]
        return dialect.quantile.format(column=column, fraction=fraction)
    return source.measures[measure]


def _order(query: UsageQuery, keys: Sequence[str]) -> str:
    """By what was asked for, and then by enough to be the same every time."""
    keys = [f"{key} nulls last" for key in keys]
    if query.order_by is not None:
        direction = "desc" if query.descending else "asc"
        return ", ".join([f"m{query.measures.index(query.order_by)} {direction} nulls last", *keys])
    bucket = 1 if query.interval else 0
    return ", ".join([*keys[:bucket], "m0 desc nulls last", *keys[bucket:]])


def _bucket(query: UsageQuery, source: Source, dialect: Dialect, bindings: Bindings) -> str:
    """A number for the bucket an event falls in; `_bucket_start` turns it into an instant."""
    if query.interval == "hour":
        return dialect.whole.format(value=source.instant, by=HOUR_US)
    local = _local_time(query, source, bindings)
    if query.interval == "month":
        return dialect.month.format(local=local)
    return dialect.whole.format(value=local, by=DAY_US)


def _bucket_start(query: UsageQuery, bucket: int) -> int:
    if query.interval == "hour":
        return bucket * HOUR_US
    if query.interval == "day":
        return day_start(_EPOCH_DAY + timedelta(days=bucket), query.zone)
    year, month = divmod(bucket, 12)
    return day_start(date(year, month + 1, 1), query.zone)


def _local_time(query: UsageQuery, source: Source, bindings: Bindings) -> str:
    """Microseconds of the zone's local time: a constant for each offset in the period."""
    first, *later = offsets(query.period, query.zone)
    choice = bindings.bind(first.offset_us)
    for offset in later:
        since, amount = bindings.bind(offset.start_us), bindings.bind(offset.offset_us)
        choice = f"case when {source.instant} >= {since} then {amount} else {choice} end"
    return f"({source.instant} + {choice})"

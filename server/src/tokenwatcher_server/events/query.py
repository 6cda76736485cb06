"""A question about usage, as data. One compiler turns it into SQL for each engine.

A question always carries its `Scope`; there is no way to ask without one.
"""

from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import UTC_ZONE, Interval, Period

Measure = Literal[
    "cost",
    "input_tokens",
    "input_tokens_p50",
    "output_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "calls",
    "errors",
    "unpriced",
    "cache_savings",
    "reported_cost",
    "latency_avg",
    "latency_p50",
    "latency_p95",
    "time_to_first_token_p50",
    "users",
]
"""Sums of tokens and money are exact integers; `latency_*` are milliseconds as floats, and
`input_tokens_p50` is the median call's.

`calls` counts every event, errors too. `unpriced` counts usage events without a cost.
`cost`, `cache_savings` and `reported_cost` are picodollars; None where nothing is priced.
"""

Field = Literal[
    "workspace",
    "project",
    "provider",
    "model",
    "requested_model",
    "service_tier",
    "status",
    "event_type",
    "usage_quality",
    "user",
    "end_user",
    "session",
    "error_type",
    "price_id",
    "environment",
]


class Dimension(msgspec.Struct, frozen=True):
    """What to group or filter by: a field, or the value of one tag key."""

    field: Field | Literal["tag"]
    tag_key: str | None = None

    def __post_init__(self) -> None:
        if (self.field == "tag") != (self.tag_key is not None):
            raise ValueError("a tag dimension needs a key, and only a tag dimension has one")


class Scope(msgspec.Struct, frozen=True):
    """Whose events may be seen. `projects` None means every project of the workspaces."""

    workspaces: tuple[WorkspaceId, ...]
    projects: tuple[ProjectId, ...] | None = None
    environments: tuple[tuple[ProjectId, str], ...] = ()
    """The environment of each project, for questions by environment: an event has only the
    project's, as it is now."""


class Filter(msgspec.Struct, frozen=True):
    """Keeps events whose dimension has one of the values; None matches events without one.

    No values at all match nothing: empty never means everything.
    """

    dimension: Dimension
    values: tuple[str | None, ...]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Measures over a period, split by dimensions and by time.

    A result row holds the bucket's start in microseconds (where `interval` is set), then the
    group's values in the order of `group_by`, then the measures in their order. Without
    `order_by`, rows come by bucket, then by the first measure, largest first, then by group.
    """

    scope: Scope
    period: Period
    measures: tuple[Measure, ...]
    group_by: tuple[Dimension, ...] = ()
    filters: tuple[Filter, ...] = ()
    interval: Interval | None = None
    zone: ZoneInfo = UTC_ZONE
    order_by: Measure | None = None
    descending: bool = True
    limit: int | None = None


class UsageRow(msgspec.Struct, frozen=True, gc=False):
    bucket_us: int | None
    group: tuple[str | None, ...]
    values: tuple[int | float | None, ...]


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a list shows, newest first by (occurred_at, id)."""

    scope: Scope
    period: Period
    filters: tuple[Filter, ...] = ()
    before: tuple[int, str] | None = None
    """The (occurred_at, id) of the last event of the page before: keyset pagination."""
    limit: int = 50

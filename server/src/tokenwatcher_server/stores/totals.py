"""Sums by the hour, kept beside the events so that most questions read few rows.

There are two kinds: for every hour, project and model, and for every hour, project and value of
a tag. A store writes them in the transaction that writes the events, from the same rows.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tokenwatcher_server.events.query import Dimension, Field, Measure, UsageQuery
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.stores.sql import Source, summed
from tokenwatcher_server.stores.zones import offsets

HOUR = f"occurred_at // {HOUR_US} * {HOUR_US}"
HOUR_KEYS: Mapping[str, str] = {
    "hour": HOUR,
    "workspace_id": "workspace_id",
    "project_id": "project_id",
    "provider": "provider",
    "model": "model",
}
TAG_KEYS: Mapping[str, str] = {
    "slot": "slot",
    "value": "value",
    "hour": HOUR,
    "workspace_id": "workspace_id",
    "project_id": "project_id",
}
TAG_SUMS: Mapping[str, str] = {
    "calls": "count(*)",
    "errors": "count(case when status = 'error' then 1 end)",
    "unpriced": "count(case when event_type = 'usage' and cost_total is null then 1 end)",
    "priced": "count(cost_total)",
    "cost": "coalesce(sum(cost_total), 0)",
    "input_tokens": summed("input_tokens"),
    "output_tokens": summed("output_tokens"),
}
"""What is kept for a tag's values, as sums over events."""
HOUR_SUMS: Mapping[str, str] = {
    **TAG_SUMS,
    "saving": "count(cache_savings)",
    "cache_savings": "coalesce(sum(cache_savings), 0)",
    "reported": "count(reported_cost)",
    "reported_cost": "coalesce(sum(reported_cost), 0)",
    "cache_read_tokens": summed("cache_read", "cache_read_audio"),
    "cache_write_tokens": summed("cache_write_5m", "cache_write_1h", "cache_write_other"),
    "reasoning_tokens": summed("output_reasoning"),
    "timed": "count(latency_ms)",
    "latency_ms": "coalesce(sum(latency_ms), 0)",
}
"""What is kept for projects and models."""

_TAG_MEASURES: Mapping[Measure, str] = {
    "cost": "case when sum(priced) > 0 then sum(cost) end",
    "input_tokens": summed("input_tokens"),
    "output_tokens": summed("output_tokens"),
    "total_tokens": summed("input_tokens", "output_tokens"),
    "calls": summed("calls"),
    "errors": summed("errors"),
    "unpriced": summed("unpriced"),
}
_HOURS = Source(
    table="hours",
    instant="hour",
    measures={
        **_TAG_MEASURES,
        "cache_read_tokens": summed("cache_read_tokens"),
        "cache_write_tokens": summed("cache_write_tokens"),
        "reasoning_tokens": summed("reasoning_tokens"),
        "cache_savings": "case when sum(saving) > 0 then sum(cache_savings) end",
        "reported_cost": "case when sum(reported) > 0 then sum(reported_cost) end",
        "latency_avg": "cast(sum(latency_ms) as float8) / nullif(sum(timed), 0)",
    },
    present="sum(calls) > 0",
)
_HOUR_FIELDS = frozenset[Field]({"workspace", "project", "provider", "model"})
_TAG_FIELDS = frozenset[Field]({"workspace", "project"})


class TagSlots(msgspec.Struct, frozen=True):
    """The tag keys that have columns of their own."""

    columns: Mapping[str, int]
    """The slot of each key's column, `tag_<slot>`."""
    summed: frozenset[int]
    """The slots whose values have hourly sums."""


def totals_for(query: UsageQuery, slots: TagSlots) -> Source | None:
    """The sums that can answer a query, but for measures they don't have; None for no such."""
    dimensions = {*query.group_by, *(wanted.dimension for wanted in query.filters)}
    fields = {each.field for each in dimensions if each.field != "tag"}
    tags = [each for each in dimensions if each.field == "tag"]
    if not _on_whole_hours(query):
        return None
    if not tags:
        return _HOURS if fields <= _HOUR_FIELDS else None
    slot = _slot(tags, slots)
    return _tag_hours(slot) if slot is not None and fields <= _TAG_FIELDS else None


def _on_whole_hours(query: UsageQuery) -> bool:
    edges = [query.period.start_us, query.period.end_us]
    if query.interval in {"day", "month"}:
        for offset in offsets(query.period, query.zone):
            edges += [offset.start_us, offset.offset_us]
    return not any(edge % HOUR_US for edge in edges)


def _slot(tags: Sequence[Dimension], slots: TagSlots) -> int | None:
    """The slot of the only tag key there is, where it has sums."""
    slot = slots.columns.get(tags[0].tag_key or "")
    return slot if len(tags) == 1 and slot in slots.summed else None


def _tag_hours(slot: int) -> Source:
    """The sums of one tag's values, and of events without it: those are all but the others."""
    keys = "hour, workspace_id, project_id"
    sums, negative = ", ".join(TAG_SUMS), ", ".join(f"-{name} as {name}" for name in TAG_SUMS)
    of_slot = f"from tag_hours where slot = {slot}"
    return Source(
        table=(
            f"(select {keys}, value as tag_{slot}, {sums} {of_slot}"
            f" union all select {keys}, null, {sums} from hours"
            f" union all select {keys}, null, {negative} {of_slot}) as totals"
        ),
        instant="hour",
        measures=_TAG_MEASURES,
        present="sum(calls) > 0",
    )

"""Sums for a period that cuts hours: whole hours from their sums, the cut ones from the events."""

from collections.abc import Mapping

import msgspec

from tokenwatcher_server.events.query import UsageQuery
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.sql import Source
from tokenwatcher_server.stores.totals import (
    HOUR_KEYS,
    HOUR_SUMS,
    TAG_SUMS,
    TagSlots,
    totals_for,
)


def sums_for(query: UsageQuery, slots: Mapping[str, int]) -> Source | None:
    """The sums that can answer a query, but for measures they don't have; None for no such."""
    every = TagSlots(slots, frozenset(slots.values()))
    found = totals_for(query, every)
    whole = _whole_hours(query.period)
    if found is not None or whole is None:
        return found
    within = totals_for(msgspec.structs.replace(query, period=whole), every)
    return None if within is None else _with_edges(within, query, whole, slots)


def _whole_hours(period: Period) -> Period | None:
    start, end = -(-period.start_us // HOUR_US) * HOUR_US, period.end_us // HOUR_US * HOUR_US
    return Period(start, end) if start < end else None


def _with_edges(sums: Source, query: UsageQuery, whole: Period, slots: Mapping[str, int]) -> Source:
    """The sums with rows for the events of the cut hours, each at its own instant."""
    keys, measured = _columns(query, slots)
    hours = f"hour >= {whole.start_us} and hour < {whole.end_us}"
    edges = " or ".join(
        f"occurred_at >= {start} and occurred_at < {end}"
        for start, end in (
            (query.period.start_us, whole.start_us),
            (whole.end_us, query.period.end_us),
        )
    )
    selected = ", ".join(f"{sql} as {name}" for name, sql in (keys | measured).items())
    grouped = ", ".join(map(str, range(1, len(keys) + 1)))
    return msgspec.structs.replace(
        sums,
        table=(
            f"(select {', '.join(keys | measured)} from {sums.table} where {hours} union all"
            f" select {selected} from events where {edges} group by {grouped}) as edged"
        ),
    )


def _columns(query: UsageQuery, slots: Mapping[str, int]) -> tuple[dict[str, str], dict[str, str]]:
    """How the rows of the sums are made of events: their keys, and what is summed."""
    dimensions = [*query.group_by, *(wanted.dimension for wanted in query.filters)]
    key = next((each.tag_key for each in dimensions if each.field == "tag"), None)
    if key is None:
        return {**HOUR_KEYS, "hour": "occurred_at"}, dict(HOUR_SUMS)
    slot = slots[key]
    value = f"tags ->> (select key from event_tag_slots where slot = {slot})"
    return {
        "hour": "occurred_at",
        "workspace_id": "workspace_id",
        "project_id": "project_id",
        f"tag_{slot}": f'({value}) collate "C"',
    }, dict(TAG_SUMS)

"""What events come to by workspace and day: added up from the events, and asked of a store."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from tokenwatcher_server.backup.manifest import DayTotals
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import Dimension, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore, Repricing
from tokenwatcher_server.events.tokens import INPUT_BUCKETS
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period, day_of, day_start

_INPUTS: Final = len(INPUT_BUCKETS)  # the input buckets come first
Key = tuple[str, int]
"""A workspace and a day, counted from 1970."""


class Totals:
    """Adds events up. `repricings` are those of all events: a later cost replaces the first."""

    def __init__(self, repricings: Iterable[Repricing]) -> None:
        self._costs = {(each.workspace_id, each.event_id): each.cost.total for each in repricings}
        self._sums: dict[Key, list[int]] = {}
        self.events = 0

    def add(self, events: Sequence[PricedEvent]) -> None:
        """Count events, each once."""
        for priced in events:
            event, cost = priced.event, priced.cost.total
            if self._costs:
                cost = self._costs.get((event.workspace_id, event.id), cost)
            key = (event.workspace_id, event.occurred_at // DAY_US)
            sums = self._sums.setdefault(key, [0, 0, 0, 0, 0])
            sums[0] += 1
            counts = [count or 0 for count in msgspec.structs.astuple(event.tokens)]
            sums[1] += sum(counts[:_INPUTS])
            sums[2] += sum(counts[_INPUTS:])
            sums[3] += cost or 0
            sums[4] += cost is None and event.event_type == "usage"
        self.events += len(events)

    def by_day(self) -> tuple[DayTotals, ...]:
        """The sums by workspace, then by day."""
        return tuple(
            DayTotals(workspace_id, _date(day).isoformat(), *self._sums[workspace_id, day])
            for workspace_id, day in sorted(self._sums)
        )


async def totals_of(store: EventStore, expected: Sequence[DayTotals]) -> tuple[DayTotals, ...]:
    """Ask a store for the same sums, of the workspaces that are expected to have some."""
    workspaces = tuple(WorkspaceId(each) for each in sorted({day.workspace_id for day in expected}))
    if not workspaces:
        return ()
    query = UsageQuery(
        scope=Scope(workspaces),
        period=_period(expected),
        measures=("calls", "input_tokens", "output_tokens", "cost", "unpriced"),
        group_by=(Dimension("workspace"),),
        interval="day",
    )
    [rows] = await store.usage([query])
    found: Mapping[tuple[str, str], DayTotals] = {
        (named := (str(row.group[0]), day_of(row.bucket_us or 0).isoformat())): DayTotals(
            *named, *(int(value or 0) for value in row.values)
        )
        for row in rows
    }
    return tuple(found[key] for key in sorted(found) if found[key].calls)


def differences(expected: Sequence[DayTotals], found: Sequence[DayTotals]) -> list[str]:
    """Name each day whose sums are not those expected."""
    ours = {(day.workspace_id, day.day): day for day in expected}
    theirs = {(day.workspace_id, day.day): day for day in found}
    return [
        f"workspace {workspace_id}, {day}: {_told(theirs.get((workspace_id, day)))} instead of "
        f"{_told(ours.get((workspace_id, day)))}"
        for workspace_id, day in sorted(ours.keys() | theirs.keys())
        if ours.get((workspace_id, day)) != theirs.get((workspace_id, day))
    ]


def _told(day: DayTotals | None) -> str:
    if day is None:
        return "nothing"
    return (
        f"{day.calls} calls, {day.input_tokens} input and {day.output_tokens} output tokens, "
        f"{day.cost} picodollars, {day.unpriced} unpriced"
    )


def _period(days: Sequence[DayTotals]) -> Period:
    """All the time that any store can hold, so that what is on another day is found too."""
    first = min(date.fromisoformat(day.day) for day in days)
    last = max(date.fromisoformat(day.day) for day in days)
    return Period(min(0, day_start(first)), day_start(last) + 400 * DAY_US)


def _date(day: int) -> date:
    return day_of(day * DAY_US)

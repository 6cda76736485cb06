"""How long many calls took: days and hours that are over are counted once, and this is kept.

1. Divide the period into whole days, hours before and after them, and what is left: the hour that
   runs, and hours that the period cuts.
2. Where there are few calls in all, say nothing: they are counted exactly elsewhere.
3. Add up what was kept of those days and hours, where it holds.
4. Count the others, days from their hours where these were kept, and give that back to be kept.
5. Count the rest from the events.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tokenwatcher_server.events.query import Measure, UsageQuery
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.counting import (
    COLUMNS,
    Counted,
    Packed,
    count,
    count_part,
    has_groups_for,
    together,
)
from tokenwatcher_server.stores.postgres.kept_durations import (
    counted_of,
    epoch_of,
    wanted_groups,
    wanted_of,
)
from tokenwatcher_server.stores.postgres.spans import Division, Span, divided
from tokenwatcher_server.stores.postgres.steps import add_up, quantile
from tokenwatcher_server.stores.sql import QUANTILES

MANY_EVENTS: Final = 100_000
"""Up to so many, quantiles are exact: the events themselves are counted."""


class Durations:
    """Answers quantiles; `counted` is what is worth keeping, and of which epoch it is."""

    def __init__(self, now_us: int, many_events: int = MANY_EVENTS) -> None:
        self._now_us = now_us
        self._many_events = many_events
        self.counted: dict[Span, Counted] = {}
        self.epoch = 0

    async def quantiles(
        self, connection: Connection, query: UsageQuery
    ) -> dict[Measure, float | None]:
        """Answer those measures that are quantiles of durations, where that saves much."""
        asked = {each: QUANTILES[each] for each in query.measures if each in QUANTILES}
        asked = {each: said for each, said in asked.items() if said[0] in COLUMNS}
        division = divided(query.period, self._now_us)
        if not asked or division is None or not has_groups_for(query):
            return {}
        calls = await _calls(connection, query, division)
        if sum(calls.values()) <= self._many_events:
            return {}
        calls = {span: many for span, many in calls.items() if span.start_us < division.end_us}
        found = await wanted_of(connection, query, calls)
        await self._count(connection, {each: calls[each] for each in calls.keys() - found.keys()})
        parts = [packed for each in found.values() for packed in each]
        for span in calls.keys() - found.keys():
            parts += wanted_groups(query, span, self.counted[span].groups)
        parts += [await count_part(connection, query, rest) for rest in division.rest(query.period)]
        return _quantiles(asked, parts)

    async def _count(self, connection: Connection, calls: Mapping[Span, int]) -> None:
        """Count spans, but for what was counted for a question before this one."""
        calls = {span: many for span, many in calls.items() if span not in self.counted}
        if not calls:
            return
        hours = await _calls_of_hours(connection, [span for span in calls if span.is_day])
        kept = await counted_of(connection, hours)
        by_hours = {hour.day for hour in kept}
        missing = {
            **{span: many for span, many in calls.items() if span not in by_hours},
            **{hour: hours[hour] for hour in hours.keys() - kept.keys() if hour.day in by_hours},
        }
        counted = await count(connection, missing)
        self.counted |= counted
        for day in by_hours:
            parts = [(kept | counted)[hour] for hour in hours if hour.day == day]
            self.counted[day] = together(calls[day], parts)
        self.epoch = await epoch_of(connection)


async def _calls(connection: Connection, query: UsageQuery, division: Division) -> dict[Span, int]:
    """How many calls each span has, and each hour after them."""
    rows = await connection.fetch(
        f"select workspace_id, {division.start_of('hour')}, sum(calls) from hours"
        " where workspace_id = any($1::text[]) and hour >= $2 and hour < $3"
        " group by 1, 2 having sum(calls) > 0",
        list(query.scope.workspaces), division.start_us, query.period.end_us,
    )  # fmt: skip
    return {division.span(row[0], row[1]): int(row[2]) for row in rows}


async def _calls_of_hours(connection: Connection, days: Sequence[Span]) -> dict[Span, int]:
    """How many calls each hour of some days has."""
    if not days:
        return {}
    rows = await connection.fetch(
        "select workspace_id, hour, sum(calls) from hours"
        " join unnest($1::text[], $2::bigint[]) as asked (workspace_id, day) using (workspace_id)"
        f" where hour >= day and hour < day + {DAY_US}"
        " group by 1, 2 having sum(calls) > 0",
        [day.workspace_id for day in days], [day.start_us for day in days],
    )  # fmt: skip
    return {Span(row[0], row[1], HOUR_US): int(row[2]) for row in rows}


def _quantiles(
    asked: Mapping[Measure, tuple[str, float]], parts: Sequence[Packed]
) -> dict[Measure, float | None]:
    found = {
        column: add_up([packed[place] for packed in parts]) for place, column in enumerate(COLUMNS)
    }
    return {each: quantile(found[column], part) for each, (column, part) in asked.items()}

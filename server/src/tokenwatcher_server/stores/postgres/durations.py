"""How long many calls took: days that are over are counted once, and their counts are kept.

1. Of a period with many events, take the whole days that are over.
2. Those whose counts were kept, and whose sums are still those they had then, are added up.
3. The others are counted from the events, and given back to be kept.
4. The rest of the period, today for one, is counted from the events.

What comes late or is erased changes a day's sums, so its counts are made anew by themselves.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.query import Field, Measure, UsageQuery
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.dialect import bindings, postgres_dialect
from tokenwatcher_server.stores.postgres.steps import add_up, pack, quantile, step_of
from tokenwatcher_server.stores.sql import QUANTILES, events_in

MANY_EVENTS: Final = 100_000
"""Up to so many, quantiles are exact: the events themselves are counted."""
COLUMNS: Final = ("latency_ms", "time_to_first_token_ms")
LOCK: Final = int.from_bytes(b"tw-durat")
"""The advisory lock of whoever keeps counts."""

_FIELDS: Final[Mapping[Field, int]] = {"workspace": 0, "project": 1, "provider": 2, "model": 3}
_SUMS: Final = ("calls", "timed", "latency_ms", "output_tokens")
_GROUP: Final = "workspace_id, project_id, provider, model"
_DAY: Final = f"occurred_at / {DAY_US} * {DAY_US}"

Group = tuple[str, str, str, str]
"""Workspace, project, provider, model."""


class CountedDay(msgspec.Struct, frozen=True):
    """A workspace's durations of a day: for each group the packed counts of each of COLUMNS."""

    workspace_id: str
    day: int
    sums: tuple[int, ...]
    groups: Mapping[Group, tuple[bytes, ...]]


class Days:
    """Answers quantiles from whole days; `counted` are those that are worth keeping."""

    def __init__(self, now_us: int, many_events: int = MANY_EVENTS) -> None:
        self._today = now_us // DAY_US * DAY_US
        self._many_events = many_events
        self.counted: dict[tuple[str, int], CountedDay] = {}

    async def quantiles(
        self, connection: Connection, query: UsageQuery
    ) -> dict[Measure, float | None]:
        """Answer those measures that are quantiles of durations, where that saves much."""
        asked = {each: QUANTILES[each] for each in query.measures if each in QUANTILES}
        asked = {each: said for each, said in asked.items() if said[0] in COLUMNS}
        days = self._whole_days(query.period)
        if not asked or days is None or not _only_fields(query):
            return {}
        sums = await _sums(connection, query, days)
        if sum(each[0] for each in sums.values()) <= self._many_events:
            return {}
        kept = await _kept(connection, days, sums)
        missing = set(sums) - set(kept) - set(self.counted)
        self.counted |= await _count(connection, days, sums, missing)
        parts = [
            part
            for each in sums
            for part in (kept[each] if each in kept else self.counted[each].groups.items())
            if _wanted(query, part[0])
        ]
        found = {}
        for place, column in enumerate(COLUMNS):
            packed = [counts[place] for _, counts in parts]
            for edge in _edges(query.period, days):
                packed.append(await _count_edge(connection, query, edge, column))
            found[column] = add_up(packed)
        return {each: quantile(found[column], part) for each, (column, part) in asked.items()}

    def _whole_days(self, period: Period) -> Period | None:
        start = -(-period.start_us // DAY_US) * DAY_US
        end = min(period.end_us // DAY_US * DAY_US, self._today)
        return Period(start, end) if start < end else None


async def keep(connection: Connection, counted: Iterable[CountedDay]) -> None:
    """Write counts down, in the place of those that a day had before."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
        for day in counted:
            place = (day.workspace_id, day.day)
            for table in ("durations", "duration_days"):
                await connection.execute(
                    f"delete from {table} where workspace_id = $1 and day = $2", *place
                )
            await connection.execute(
                f"insert into duration_days (workspace_id, day, {', '.join(_SUMS)})"
                " values ($1, $2, $3, $4, $5, $6)",
                *place,
                *day.sums,
            )
            await connection.executemany(
                f"insert into durations (day, {_GROUP}, {', '.join(COLUMNS)})"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                [(day.day, *group, *counts) for group, counts in day.groups.items()],
            )


def _only_fields(query: UsageQuery) -> bool:
    return all(wanted.dimension.field in _FIELDS for wanted in query.filters)


def _wanted(query: UsageQuery, group: Group) -> bool:
    projects = query.scope.projects
    return (projects is None or group[1] in projects) and all(
        group[_FIELDS[wanted.dimension.field]] in wanted.values  # type: ignore[index]
        for wanted in query.filters
    )


def _edges(period: Period, days: Period) -> list[Period]:
    parts = ((period.start_us, days.start_us), (days.end_us, period.end_us))
    return [Period(start, end) for start, end in parts if start < end]


async def _sums(
    connection: Connection, query: UsageQuery, days: Period
) -> dict[tuple[str, int], tuple[int, ...]]:
    """The sums of each workspace and day that has events."""
    summed = ", ".join(f"sum({name})" for name in _SUMS)
    rows = await connection.fetch(
        f"select workspace_id, hour / {DAY_US} * {DAY_US}, {summed} from hours"
        " where workspace_id = any($1::text[]) and hour >= $2 and hour < $3"
        " group by 1, 2 having sum(calls) > 0",
        list(query.scope.workspaces), days.start_us, days.end_us,
    )  # fmt: skip
    return {(row[0], row[1]): tuple(map(int, tuple(row)[2:])) for row in rows}


async def _kept(
    connection: Connection, days: Period, sums: Mapping[tuple[str, int], tuple[int, ...]]
) -> dict[tuple[str, int], list[tuple[Group, tuple[bytes, ...]]]]:
    """The counts of the days whose sums are still what they were."""
    within = (list({workspace for workspace, _ in sums}), days.start_us, days.end_us)
    where = "workspace_id = any($1::text[]) and day >= $2 and day < $3"
    made = await connection.fetch(
        f"select workspace_id, day, {', '.join(_SUMS)} from duration_days where {where}", *within
    )
    valid = {
        (row[0], row[1]) for row in made
        if sums.get((row[0], row[1])) == tuple(map(int, tuple(row)[2:]))
    }  # fmt: skip
    kept: dict[tuple[str, int], list[tuple[Group, tuple[bytes, ...]]]] = {
        each: [] for each in valid
    }
    rows = await connection.fetch(
        f"select day, {_GROUP}, {', '.join(COLUMNS)} from durations where {where}", *within
    )
    for day, workspace, project, provider, model, *counts in rows:
        if (workspace, day) in valid:
            kept[workspace, day].append(((workspace, project, provider, model), tuple(counts)))
    return kept


async def _count(
    connection: Connection,
    days: Period,
    sums: Mapping[tuple[str, int], tuple[int, ...]],
    missing: set[tuple[str, int]],
) -> dict[tuple[str, int], CountedDay]:
    """Count the durations of whole days from their events."""
    if not missing:
        return {}
    counted: dict[tuple[str, int], dict[Group, list[dict[int, int]]]] = defaultdict(
        lambda: defaultdict(lambda: [{} for _ in COLUMNS])
    )
    workspaces, starts = zip(*missing, strict=True)
    for place, column in enumerate(COLUMNS):
        rows = await connection.fetch(
            f"select {_DAY} as day, {_GROUP}, {step_of(column)} as step, count(*) from events"
            " join unnest($1::text[], $2::bigint[]) as missing (workspace_id, missing_day)"
            f" using (workspace_id) where {_DAY} = missing_day and {column} is not null"
            f" and occurred_at >= {days.start_us} and occurred_at < {days.end_us}"
            f" group by day, {_GROUP}, step",
            workspaces, starts,
        )  # fmt: skip
        for day, workspace, project, provider, model, step, count in rows:
            group = (workspace, project, provider, model)
            counted[workspace, day][group][place][step] = count
    return {
        each: CountedDay(
            *each,
            sums[each],
            {group: tuple(map(pack, counts)) for group, counts in counted[each].items()},
        )
        for each in sorted(missing)
    }


async def _count_edge(
    connection: Connection, query: UsageQuery, edge: Period, column: str
) -> bytes:
    bound = bindings()
    where = events_in(query, edge, postgres_dialect(), bound)
    rows: Sequence[Any] = await connection.fetch(
        f"select {step_of(column)} as step, count(*) from events"
        f" where {where} and {column} is not null group by step",
        *bound.values,
    )
    return pack(dict(rows))

"""Exact quantiles of whole numbers: equal ones are counted, which is far faster than sorting all."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from typing import Final

from tokenwatcher_server.events.query import Measure, UsageQuery
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.dialect import bindings, postgres_dialect
from tokenwatcher_server.stores.sql import QUANTILE_DIGITS, QUANTILES, events_in

_INDEXED: Final = frozenset({"latency_ms", "time_to_first_token_ms"})
"""What the index by time has too, so that the events themselves need not be read."""

Counted = Mapping[int, int]
"""How often each number occurs, the smallest first."""


async def quantiles(connection: Connection, query: UsageQuery) -> dict[Measure, float | None]:
    """Answer those measures of a query without groups that are quantiles of durations."""
    asked = {each: QUANTILES[each] for each in query.measures if each in QUANTILES}
    counted = {
        column: await _counted(connection, query, column)
        for column in {column for column, _ in asked.values()} & _INDEXED
    }
    return {
        measure: quantile(counted[column], fraction)
        for measure, (column, fraction) in asked.items()
        if column in counted
    }


async def _counted(connection: Connection, query: UsageQuery, column: str) -> Counted:
    bound = bindings()
    where = events_in(query, query.period, postgres_dialect(), bound)
    rows = await connection.fetch(
        f"select {column}, count(*) from events where {where} and {column} is not null"
        f" group by {column} order by {column}",
        *bound.values,
    )
    return dict(rows)


def quantile(counted: Counted, fraction: float) -> float | None:
    """The exact quantile, between two values where it falls between; None of nothing."""
    values, upto = list(counted), list(accumulate(counted.values()))
    if not values:
        return None
    place = (upto[-1] - 1) * fraction
    low = int(place)
    below, above = (_at(values, upto, rank) for rank in (low, min(low + 1, upto[-1] - 1)))
    return round(float(below + (above - below) * (place - low)), QUANTILE_DIGITS)


def _at(values: list[int], upto: list[int], rank: int) -> int:
    """The value of a rank, counted from 0."""
    return values[bisect_right(upto, rank)]

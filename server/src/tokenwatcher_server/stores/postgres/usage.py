"""Answers usage queries: whole hours from their sums, the hours that are cut from the events.

A query without groups is one row, and each of its measures comes from where it is cheapest.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.query import Measure, UsageQuery, UsageRow
from tokenwatcher_server.stores.postgres import hours
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.dialect import postgres_dialect
from tokenwatcher_server.stores.postgres.durations import Durations
from tokenwatcher_server.stores.postgres.edges import sums_for
from tokenwatcher_server.stores.postgres.quantiles import quantiles
from tokenwatcher_server.stores.sql import EVENTS, Source, usage_rows, usage_statement

_FLOATS: Final = frozenset[Measure](
    {"latency_avg", "latency_p50", "latency_p95", "time_to_first_token_p50", "input_tokens_p50"}
)


async def answer(
    connection: Connection, queries: Sequence[UsageQuery], durations: Durations
) -> list[list[UsageRow]]:
    """Answer every query from the snapshot that the connection has."""
    slots = await hours.slots(connection)
    return [await _answer(connection, query, slots, durations) for query in queries]


async def _answer(
    connection: Connection, query: UsageQuery, slots: Mapping[str, int], durations: Durations
) -> list[UsageRow]:
    totals = sums_for(query, slots)
    summed = tuple(each for each in query.measures if totals and each in totals.measures)
    if totals is not None and len(summed) == len(query.measures):
        return await _ask(connection, query, totals, slots)
    if query.group_by or query.interval:
        return await _ask(connection, query, EVENTS, None)
    values: dict[Measure, Any] = {**await durations.quantiles(connection, query)}
    if not values:
        values |= await quantiles(connection, query)
    if totals is not None:
        values |= await _single(connection, query, summed, totals, slots)
    rest = tuple(each for each in query.measures if each not in values)
    values |= await _single(connection, query, rest, EVENTS, None)
    row = UsageRow(None, (), tuple(values[measure] for measure in query.measures))
    return [row][: query.limit]


async def _single(
    connection: Connection,
    query: UsageQuery,
    measures: tuple[Measure, ...],
    source: Source,
    slots: Mapping[str, int] | None,
) -> dict[Measure, Any]:
    if not measures:
        return {}
    asked = msgspec.structs.replace(query, measures=measures, order_by=None, limit=None)
    [row] = await _ask(connection, asked, source, slots)
    return dict(zip(measures, row.values, strict=True))


async def _ask(
    connection: Connection, query: UsageQuery, source: Source, slots: Mapping[str, int] | None
) -> list[UsageRow]:
    statement = usage_statement(query, source, postgres_dialect(slots))
    rows = await connection.fetch(statement.text, *statement.values)
    first = len(query.group_by) + (1 if query.interval else 0)
    return usage_rows(query, [_exact(query, row, first) for row in rows])


def _exact(query: UsageQuery, row: Sequence[Any], first: int) -> tuple[Any, ...]:
    """Sums as integers: the server's wide numbers come as decimals."""
    values = [
        int(value) if isinstance(value, Decimal) and measure not in _FLOATS else value
        for measure, value in zip(query.measures, row[first:], strict=True)
    ]
    return (*row[:first], *values)

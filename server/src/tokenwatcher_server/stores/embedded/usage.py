"""Answers usage queries: from the hourly sums where they can, else from the events.

A query without groups is one row, and each of its measures comes from where it is cheapest:
sums from the hours, quantiles from a count of the events' durations, the rest from the events.
"""

from collections.abc import Sequence

import msgspec

from tokenwatcher_server.events.query import Measure, UsageQuery, UsageRow
from tokenwatcher_server.stores.embedded.columns import Columns, Snapshot
from tokenwatcher_server.stores.embedded.dialect import duckdb_dialect
from tokenwatcher_server.stores.embedded.quantiles import histogram, quantile
from tokenwatcher_server.stores.sql import EVENTS, QUANTILES, Source, usage_rows, usage_statement
from tokenwatcher_server.stores.totals import TagSlots, totals_for

Values = dict[Measure, int | float | None]


def answer(columns: Columns, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
    """Answer every query from one snapshot."""
    with columns.limited_snapshot() as snapshot:
        return [
            _grouped(snapshot, query)
            if query.group_by or query.interval
            else _single(snapshot, query, columns.applied.total)
            for query in queries
        ]


def _grouped(snapshot: Snapshot, query: UsageQuery) -> list[UsageRow]:
    totals = _totals(snapshot, query)
    suits = totals is not None and set(query.measures) <= totals.measures.keys()
    return _ask(snapshot, query, totals if totals is not None and suits else EVENTS)


def _single(snapshot: Snapshot, query: UsageQuery, events: int) -> list[UsageRow]:
    totals = _totals(snapshot, query)
    values = _quantiles(snapshot, query, events)
    if totals is not None:
        summed = [each for each in query.measures if each in totals.measures]
        values |= _measured(snapshot, query, summed, totals)
    rest = [each for each in query.measures if each not in values]
    values |= _measured(snapshot, query, rest, EVENTS)
    row = UsageRow(None, (), tuple(values[measure] for measure in query.measures))
    return [row][: query.limit]


def _totals(snapshot: Snapshot, query: UsageQuery) -> Source | None:
    return totals_for(query, TagSlots(snapshot.tag_slots, snapshot.summed_slots))


def _quantiles(snapshot: Snapshot, query: UsageQuery, events: int) -> Values:
    asked = {each: QUANTILES[each] for each in query.measures if each in QUANTILES}
    counted = {
        column: histogram(snapshot, query, column, events)
        for column in dict.fromkeys(column for column, _ in asked.values())
    }
    return {
        measure: quantile(found, fraction)
        for measure, (column, fraction) in asked.items()
        if (found := counted[column]) is not None
    }


def _measured(
    snapshot: Snapshot, query: UsageQuery, measures: Sequence[Measure], source: Source
) -> Values:
    if not measures:
        return {}
    asked = msgspec.structs.replace(query, measures=tuple(measures), order_by=None, limit=None)
    [row] = _ask(snapshot, asked, source)
    return dict(zip(measures, row.values, strict=True))


def _ask(snapshot: Snapshot, query: UsageQuery, source: Source) -> list[UsageRow]:
    statement = usage_statement(query, source, duckdb_dialect(snapshot.tag_slots))
    return usage_rows(query, snapshot.rows(statement.text, statement.values))

"""Exact quantiles of durations: whole milliseconds are counted, which is far faster than sorting."""

import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.events.query import UsageQuery
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.embedded.columns import Snapshot
from tokenwatcher_server.stores.embedded.dialect import duckdb_dialect
from tokenwatcher_server.stores.sql import QUANTILE_DIGITS, Bindings, events_in

SLICE_EVENTS = 4_000_000
"""The durations of about so many events are in memory at once."""
LONGEST = 1 << 22
"""Milliseconds that are counted, over an hour; what is longer is left to SQL."""

Histogram = NDArray[np.int64]


def histogram(snapshot: Snapshot, query: UsageQuery, column: str, events: int) -> Histogram | None:
    """How often each number of milliseconds occurs among a query's events.

    None where there is a number that has no place. `events` are those of the whole store.
    """
    counted: Histogram = np.zeros(0, np.int64)
    for period in _slices(query.period, 1 + events // SLICE_EVENTS):
        bindings = Bindings()
        where = events_in(query, period, duckdb_dialect(snapshot.tag_slots), bindings)
        found = snapshot.cursor.execute(
            f"select least({column}, {LONGEST})::int as milliseconds from events"
            f" where {where} and {column} is not null",
            bindings.values,
        ).fetchnumpy()["milliseconds"]
        if len(found) and not 0 <= found.min() <= found.max() < LONGEST:
            return None
        counted = _added(counted, np.bincount(found))
    return counted


def quantile(histogram: Histogram, fraction: float) -> float | None:
    """The exact quantile, between two values where it falls between; None of nothing."""
    cumulative = np.cumsum(histogram)
    count = int(cumulative[-1]) if len(cumulative) else 0
    if count == 0:
        return None
    place = (count - 1) * fraction
    low = int(place)
    below, above = np.searchsorted(cumulative, [low, min(low + 1, count - 1)], side="right")
    return round(float(below + (above - below) * (place - low)), QUANTILE_DIGITS)


def _added(one: Histogram, other: Histogram) -> Histogram:
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    longer[: len(shorter)] += shorter
    return longer


def _slices(period: Period, count: int) -> list[Period]:
    width = -(-period.length_us // count)
    starts = range(period.start_us, period.end_us, width)
    return [Period(start, min(start + width, period.end_us)) for start in starts]

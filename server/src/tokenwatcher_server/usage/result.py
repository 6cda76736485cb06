"""What a question about usage gives back, as plain values: no engine, no page."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from tokenwatcher_server.events.query import Measure, UsageRow
from tokenwatcher_server.kernel.period import Period


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """One field for each measure; what was not asked for is 0 or None.

    Money is picodollars, durations are milliseconds. `cost` is None where there are calls and
    none of them has a price; it is 0 where there is nothing to pay for.
    """

    cost: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    cache_savings: int | None = None
    reported_cost: int | None = None
    input_tokens_p50: float | None = None
    latency_avg: float | None = None
    latency_p50: float | None = None
    latency_p95: float | None = None
    time_to_first_token_p50: float | None = None
    users: int = 0

    @property
    def known_cost(self) -> int | None:
        """The cost to show: None also where all that has a price are calls that cost nothing."""
        return None if self.unpriced and not self.cost else self.cost


NOTHING = Totals(cost=0)


class Line(msgspec.Struct, frozen=True):
    """One row of an answer: its bucket's start (if any), its group, its measures by name."""

    bucket_us: int | None
    group: tuple[str | None, ...]
    totals: Totals


class ModelUsage(msgspec.Struct, frozen=True):
    provider: str
    model: str
    totals: Totals


class DayUsage(msgspec.Struct, frozen=True):
    day: date
    totals: Totals


class TagUsage(msgspec.Struct, frozen=True):
    """One value of the chosen tag; None stands for the events without that tag."""

    value: str | None
    totals: Totals


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """A period in numbers: its totals, its days, its models, and the values of one tag."""

    period: Period
    overview: Totals
    today: Totals
    yesterday: Totals
    models: tuple[ModelUsage, ...]
    days: tuple[DayUsage, ...]
    tags: tuple[TagUsage, ...] = ()


def line_of(measures: Sequence[Measure], row: UsageRow) -> Line:
    """Name the values of a row; what a store gives as None is left at its default."""
    named = dict(zip(measures, row.values, strict=True))
    return Line(row.bucket_us, row.group, totals_of(named))


def totals_of(named: Mapping[Measure, int | float | None]) -> Totals:
    given = {name: value for name, value in named.items() if value is not None}
    if named.get("cost", 0) is None and not given.get("unpriced"):
        given["cost"] = 0
    return msgspec.convert(given, Totals)

"""The spend chart as its template wants it: labels in words, and where everything leads."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.kernel.clock import DAY_US, to_datetime
from tokenwatcher_server.kernel.period import Interval, day_of
from tokenwatcher_server.usage.chart import Chart, Column, Series
from tokenwatcher_server.usage.request import Between, UsageRequest
from tokenwatcher_server.usage.result import Totals
from tokenwatcher_server.usage.text import MONTHS, day_text
from tokenwatcher_server.web.pages.links import EVENTS, OVERVIEW, address, where

MOST_LABELS = 8
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Label(msgspec.Struct, frozen=True):
    """A label under the plot; `x` in percent of its width."""

    x: str
    text: str
    minor: bool
    """Left out where there is little room."""


class ChartColumn(msgspec.Struct, frozen=True):
    column: Column
    name: str
    href: str


class LegendEntry(msgspec.Struct, frozen=True):
    series: Series
    name: str
    href: str | None
    """None for the others together: they have no filter of their own."""


class SpendChart(msgspec.Struct, frozen=True):
    chart: Chart
    title: str
    zone: str
    columns: tuple[ChartColumn, ...]
    legend: tuple[LegendEntry, ...]
    labels: tuple[Label, ...]
    totals: Totals


def spend_chart(
    request: UsageRequest, chart: Chart, interval: Interval, totals: Totals
) -> SpendChart:
    zone = request.zone
    return SpendChart(
        chart=chart,
        title=f"Spend by {interval}",
        zone=zone.key,
        columns=tuple(
            ChartColumn(
                column,
                bucket_name(column.start_us, interval, zone),
                _column_address(request, column.start_us, interval),
            )
            for column in chart.columns
        ),
        legend=tuple(_legend_entry(request, series) for series in chart.series),
        labels=tuple(labels([column.start_us for column in chart.columns], interval, zone)),
        totals=totals,
    )


def _legend_entry(request: UsageRequest, series: Series) -> LegendEntry:
    if series.model is None:
        return LegendEntry(series, f"other ({series.members})", None)
    provider, model = series.model
    href = where(OVERVIEW, request, (Dimension("provider"), provider), (Dimension("model"), model))
    return LegendEntry(series, model, href)


def _column_address(request: UsageRequest, start_us: int, interval: Interval) -> str:
    """A day or a month leads to its own overview, an hour to its events."""
    if interval == "hour":
        hour = Between(start_us, start_us + DAY_US // 24)
        return address(EVENTS, replace(request, window=hour))
    first = day_of(start_us, request.zone)
    last = first if interval == "day" else _last_of_month(first)
    return address(OVERVIEW, replace(request, window=Between(first, last)))


def _last_of_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def labels(starts: list[int], interval: Interval, zone: ZoneInfo) -> list[Label]:
    """Names for some of the buckets, evenly spread under the plot."""
    step = max(1, -(-len(starts) // MOST_LABELS))
    return [
        Label(
            x=f"{(place + 0.5) * 100 / len(starts):.2f}%",
            text=_short_name(starts[place], interval, zone),
            minor=number % 2 == 1,
        )
        for number, place in enumerate(range(0, len(starts), step))
    ]


def _short_name(start_us: int, interval: Interval, zone: ZoneInfo) -> str:
    if interval == "hour":
        return to_datetime(start_us).astimezone(zone).strftime("%H:%M")
    day = day_of(start_us, zone)
    return day_text(day) if interval == "day" else f"{MONTHS[day.month - 1]} {day.year}"


def bucket_name(start_us: int, interval: Interval, zone: ZoneInfo) -> str:
    """A bucket in words: `Mon, Nov 23`, `Mon, Nov 23, 14:00`, `Nov 2026`."""
    day = day_of(start_us, zone)
    if interval == "month":
        return f"{MONTHS[day.month - 1]} {day.year}"
    name = f"{WEEKDAYS[day.weekday()]}, {day_text(day)}"
    return f"{name}, {_short_name(start_us, interval, zone)}" if interval == "hour" else name

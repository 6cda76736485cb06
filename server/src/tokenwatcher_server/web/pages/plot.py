"""A chart over time as the page's script draws it, and as the table that says the same."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD
from tokenwatcher_server.usage.explore import SUMMABLE, Explored, ExploreRequest, Value
from tokenwatcher_server.usage.request import LastDays
from tokenwatcher_server.web.pages.explore_form import parameters_for
from tokenwatcher_server.web.pages.explore_table import group_text
from tokenwatcher_server.web.pages.links import EXPLORE, address
from tokenwatcher_server.web.pages.measures import MEASURE_LABELS, Amount, kind_of
from tokenwatcher_server.web.pages.spend_chart import bucket_name


class DrawnSeries(msgspec.Struct, frozen=True):
    label: str
    slot: int
    values: tuple[float | None, ...]


class Drawn(msgspec.Struct, frozen=True):
    """What the script needs. Instants are seconds, money is dollars: these are for pixels."""

    kind: str
    stacked: bool
    starts: tuple[int, ...]
    end: int
    names: tuple[str, ...]
    series: tuple[DrawnSeries, ...]
    before: tuple[float | None, ...] | None
    zoom: str
    """The address of a closer look, which lacks `from` and `to`."""


class TwinRow(msgspec.Struct, frozen=True):
    name: str
    values: tuple[Amount, ...]
    before: Amount | None


class Legend(msgspec.Struct, frozen=True):
    label: str
    slot: int


class Plot(msgspec.Struct, frozen=True):
    title: str
    zone: str
    drawn: str
    """`Drawn` as JSON."""
    legend: tuple[Legend, ...]
    rows: tuple[TwinRow, ...]
    compared: bool


def plot(asked: ExploreRequest, found: Explored, names: Mapping[str, str]) -> Plot:
    measure, zone = asked.table.measures[0], asked.table.usage.zone
    course, kind = found.course, kind_of(measure)
    bucket_names = tuple(bucket_name(start, course.interval, zone) for start in course.starts)
    series = tuple(
        DrawnSeries(
            "other" if one.group is None else group_text(one.group, names) if one.group else "all",
            one.slot,
            tuple(_pixels(kind, value) for value in one.values),
        )
        for one in course.series
    )
    closer = replace(asked, table=replace(asked.table, interval=None))
    drawn = Drawn(
        kind=kind,
        stacked=measure in SUMMABLE,
        starts=tuple(start // MICROSECONDS for start in course.starts),
        end=found.period.end_us // MICROSECONDS,
        names=bucket_names,
        series=series,
        before=None
        if course.before is None
        else tuple(_pixels(kind, value) for value in course.before),
        zoom=address(
            EXPLORE, replace(asked.table.usage, window=LastDays()), parameters_for(closer)
        ),
    )
    return Plot(
        title=f"{MEASURE_LABELS[measure]} by {course.interval}",
        zone=zone.key,
        drawn=msgspec.json.encode(drawn).decode(),
        legend=tuple(Legend(one.label, one.slot) for one in series),
        rows=tuple(
            TwinRow(
                name,
                tuple(Amount(kind, one.values[place]) for one in course.series),
                None if course.before is None else Amount(kind, course.before[place]),
            )
            for place, name in enumerate(bucket_names)
        ),
        compared=course.before is not None,
    )


def _pixels(kind: str, value: Value) -> float | None:
    if value is None:
        return None
    return value / PICODOLLARS_PER_USD if kind == "money" else float(value)

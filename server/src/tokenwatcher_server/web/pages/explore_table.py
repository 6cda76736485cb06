"""The table of the explore page: each group with its measures, its share, and the time before."""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Measure
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.usage.explore import SUMMABLE, Explored, ExploreRequest, Group
from tokenwatcher_server.usage.request import UsageRequest, with_filter
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.table import group_name
from tokenwatcher_server.usage.text import change, share
from tokenwatcher_server.web.pages.explore_form import parameters_for
from tokenwatcher_server.web.pages.links import EVENTS, EXPLORE, address
from tokenwatcher_server.web.pages.measures import (
    DIMENSION_LABELS,
    MEASURE_LABELS,
    Amount,
    amount,
)

BAR = 84


class Head(msgspec.Struct, frozen=True):
    label: str
    href: str
    sorted: bool


class Cell(msgspec.Struct, frozen=True):
    """One value of the group, and the question narrowed to it."""

    text: str
    absent: bool
    href: str


class Row(msgspec.Struct, frozen=True):
    slot: int
    cells: tuple[Cell, ...]
    amounts: tuple[Amount, ...]
    share: str
    bar: str
    before: Amount
    change: int | None
    events_href: str


class ExploreTable(msgspec.Struct, frozen=True):
    groups: tuple[str, ...]
    heads: tuple[Head, ...]
    shared: bool
    """True where the first measure's parts make up its whole."""
    compared: bool
    rows: tuple[Row, ...]
    totals: tuple[Amount, ...]
    before: Amount
    change: int | None
    truncated: bool


def explore_table(asked: ExploreRequest, found: Explored, names: Mapping[str, str]) -> ExploreTable:
    table = asked.table
    first = table.measures[0]
    most = max((_number(first, line.totals) for line in found.lines), default=0)
    before = found.before or Totals()
    return ExploreTable(
        groups=tuple(label_of(dimension) for dimension in table.group_by),
        heads=tuple(_head(asked, measure) for measure in table.measures),
        shared=first in SUMMABLE,
        compared=asked.compare,
        rows=tuple(_row(asked, found, line, most, names) for line in found.lines),
        totals=tuple(amount(measure, found.totals) for measure in table.measures),
        before=amount(first, before),
        change=_change(first, found.totals, before),
        truncated=found.truncated,
    )


def label_of(dimension: Dimension) -> str:
    return dimension.tag_key or DIMENSION_LABELS[group_name(dimension)]


def group_text(group: Group, names: Mapping[str, str]) -> str:
    """A group in words: `gpt-5 · chat`."""
    return " · ".join(_text(value, names) for value in group) or "all"


def narrowed_to(usage: UsageRequest, dimension: Dimension, value: str | None) -> UsageRequest:
    """The same usage where this dimension has this value."""
    if dimension.field == "project":
        return replace(usage, project_id=ProjectId(value or ""))
    if dimension.field == "workspace":
        return replace(usage, workspace_id=WorkspaceId(value or ""))
    return with_filter(usage, dimension, [value])


def _head(asked: ExploreRequest, measure: Measure) -> Head:
    sorting = asked.table.order_by or asked.table.measures[0]
    resorted = replace(asked, table=replace(asked.table, order_by=measure))
    href = address(EXPLORE, asked.table.usage, parameters_for(resorted))
    return Head(MEASURE_LABELS[measure], href, sorting == measure)


def _row(
    asked: ExploreRequest, found: Explored, line: Line, most: float, names: Mapping[str, str]
) -> Row:
    table = asked.table
    first = table.measures[0]
    before = found.before_lines.get(line.group, Totals(cost=0))
    usage = table.usage
    for dimension, value in zip(table.group_by, line.group, strict=True):
        usage = narrowed_to(usage, dimension, value)
    return Row(
        slot=found.slots.get(line.group, 0),
        cells=tuple(
            Cell(_text(value, names), value is None, _cell_address(asked, dimension, value))
            for dimension, value in zip(table.group_by, line.group, strict=True)
        ),
        amounts=tuple(amount(measure, line.totals) for measure in table.measures),
        share=_share(first, line.totals, found.totals),
        bar=f"{BAR * _number(first, line.totals) / most:.1f}" if most else "0",
        before=amount(first, before),
        change=_change(first, line.totals, before),
        events_href=address(EVENTS, usage),
    )


def _cell_address(asked: ExploreRequest, dimension: Dimension, value: str | None) -> str:
    usage = narrowed_to(asked.table.usage, dimension, value)
    return address(EXPLORE, usage, parameters_for(asked))


def _text(value: str | None, names: Mapping[str, str]) -> str:
    return "(none)" if value is None else names.get(value, value) or "(empty)"


def _number(measure: Measure, totals: Totals) -> float:
    return getattr(totals, measure) or 0


def _share(measure: Measure, part: Totals, whole: Totals) -> str:
    if measure not in SUMMABLE:
        return ""
    return share(getattr(part, measure), getattr(whole, measure))


def _change(measure: Measure, now: Totals, before: Totals) -> int | None:
    later, earlier = getattr(now, measure), getattr(before, measure)
    if later is None or earlier is None:
        return None
    return change(round(later), round(earlier))

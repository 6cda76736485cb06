"""`/api/query`: any measures by any dimensions, from an address to columns and rows."""

from typing import get_args

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Measure, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import Interval
from tokenwatcher_server.usage.parameters import Parameters, Reader
from tokenwatcher_server.usage.report import filled, report
from tokenwatcher_server.usage.request import (
    FIELDS,
    UsageRequest,
    dimension_of,
    name_of,
    parse_with,
)
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.stats import question

DEFAULT_LIMIT = 1_000
MOST_ROWS = 10_000
MOST_DIMENSIONS = 4
MONEY: frozenset[Measure] = frozenset({"cost", "cache_savings", "reported_cost"})
FORMATS = ("json", "csv", "parquet")
INTERVALS: tuple[Interval, ...] = get_args(Interval)
_NARROWING = frozenset({"workspaceId", "projectId", "without"})
"""What narrows a question beside the fields and tags, and so may stand in a `filter`."""


def wire_name(measure: Measure) -> str:
    """A measure as an address and an answer call it: `inputTokens`, `latencyP95`."""
    head, *rest = measure.split("_")
    return head + "".join(word.capitalize() for word in rest)


MEASURES: dict[str, Measure] = {wire_name(measure): measure for measure in get_args(Measure)}


class TableRequest(msgspec.Struct, frozen=True, kw_only=True):
    usage: UsageRequest
    measures: tuple[Measure, ...]
    group_by: tuple[Dimension, ...]
    interval: Interval | None
    order_by: Measure | None
    limit: int
    format: str


class Table(msgspec.Struct, frozen=True):
    """Rows in the order asked for; `truncated` where there were more than the limit."""

    request: TableRequest
    lines: tuple[Line, ...]
    truncated: bool


def parse_table(parameters: Parameters) -> TableRequest:
    """Read an address; raises AppError naming what is wrong."""
    reader = Reader(with_filters(parameters))
    asked = table_with(reader, DEFAULT_LIMIT)
    reader.finish()
    return asked


def table_with(reader: Reader, default_limit: int) -> TableRequest:
    """Read the part of an address that says what table is meant."""
    measures = _listed(reader, "measures") or ["cost"]
    _refuse_filters(reader)
    return TableRequest(
        usage=parse_with(reader),
        measures=tuple(_measures(reader, measures)),
        group_by=tuple(_dimensions(reader, _listed(reader, "groupBy"))),
        interval=_interval(reader),
        order_by=_order(reader, measures),
        limit=reader.whole("limit", 1, MOST_ROWS, default_limit),
        format=_format(reader),
    )


async def table(store: EventStore, asked: TableRequest, scope: Scope, now_us: int) -> Table:
    """Ask the store; buckets without events are zeros where nothing else splits the rows."""
    query = replace(
        question(asked.usage, scope, now_us),
        measures=asked_measures(asked),
        group_by=asked.group_by,
        interval=asked.interval,
        order_by=asked.order_by,
        limit=asked.limit + 1,
    )
    lines = (await report(store, {"table": query}))["table"]
    if asked.interval is not None and not asked.group_by and asked.order_by is None:
        lines = _filled(lines, query, asked.interval)
    return Table(asked, tuple(lines[: asked.limit]), len(lines) > asked.limit)


def asked_measures(asked: TableRequest) -> tuple[Measure, ...]:
    """Money also needs to know what is unpriced: nothing to pay is 0, not known is null."""
    hidden: tuple[Measure, ...] = ("unpriced",) if "cost" in asked.measures else ()
    return tuple(dict.fromkeys((*asked.measures, *hidden)))


def _filled(lines: list[Line], query: UsageQuery, interval: Interval) -> list[Line]:
    every: list[tuple[int, Totals]] = list(filled(lines, query.period, interval, query.zone))
    return [Line(start, (), totals) for start, totals in every]


def with_filters(parameters: Parameters) -> Parameters:
    """`filter=model:gpt-5` says the same as `model=gpt-5`; one that names nothing stays."""
    for name, value in parameters:
        said, colon, wanted = value.partition(":")
        if name == "filter" and colon and (said in _NARROWING or dimension_of(said)):
            yield said, wanted
        else:
            yield name, value


def _refuse_filters(reader: Reader) -> None:
    """Name a filter that filters nothing: without it, the answer would be of everything."""
    if any(reader.all("filter")):
        known = ", ".join([*sorted(_NARROWING), *(name for name, _ in FIELDS)])
        reader.wrong("filter", f"must be NAME:VALUE, with one of {known}, or tag. and a key")


def _listed(reader: Reader, name: str) -> list[str]:
    """A list with commas, given once or more; each entry once."""
    words = [word.strip() for value in reader.all(name) for word in value.split(",")]
    return list(dict.fromkeys(word for word in words if word))


def _measures(reader: Reader, names: list[str]) -> list[Measure]:
    for name in names:
        if name not in MEASURES:
            reader.wrong("measures", f"may be {', '.join(MEASURES)}")
            return []
    return [MEASURES[name] for name in names]


def group_name(dimension: Dimension) -> str:
    """What an answer calls a column that rows are split by."""
    if dimension.field in {"workspace", "project"}:
        return f"{dimension.field}Id"
    return name_of(dimension)


def _dimensions(reader: Reader, names: list[str]) -> list[Dimension]:
    known = {"workspaceId": Dimension("workspace"), "projectId": Dimension("project")}
    found = [known.get(name) or dimension_of(name) for name in names]
    if None in found:
        fields = ", ".join([*known, *(name for name, _ in FIELDS)])
        reader.wrong("groupBy", f"may be {fields}, or tag. and a key")
    elif len(found) > MOST_DIMENSIONS:
        reader.wrong("groupBy", f"may name at most {MOST_DIMENSIONS} dimensions")
    return [dimension for dimension in found if dimension is not None]


def _interval(reader: Reader) -> Interval | None:
    text = reader.one("interval")
    for interval in INTERVALS:
        if text == interval:
            return interval
    if text is not None:
        reader.wrong("interval", f"must be {', '.join(INTERVALS)}")
    return None


def _order(reader: Reader, measures: list[str]) -> Measure | None:
    text = reader.one("orderBy")
    if text is None:
        return None
    if text not in measures or text not in MEASURES:
        reader.wrong("orderBy", "must be one of the measures asked for")
        return None
    return MEASURES[text]


def _format(reader: Reader) -> str:
    text = reader.one("format") or "json"
    if text not in FORMATS:
        reader.wrong("format", f"must be {', '.join(FORMATS)}")
    return text

"""`GET /api/query`: the general usage query, as JSON, CSV or Parquet."""

import asyncio
import csv
import io
from typing import Any

import msgspec
from litestar import Request, Response, get

from tokenwatcher_server.events.export import Column, Kind
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.money import usd_number, usd_text
from tokenwatcher_server.usage.result import Line
from tokenwatcher_server.usage.table import (
    MONEY,
    Table,
    TableRequest,
    group_name,
    parse_table,
    table,
    wire_name,
)
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.rate_limit import count_question
from tokenwatcher_server.web.scope import asked_scope
from tokenwatcher_server.web.services import services_of

PARQUET = "application/vnd.apache.parquet"
DURATIONS = ("latency_", "time_to_")
Value = str | int | float | None


class QueryAnswer(msgspec.Struct, frozen=True):
    """Each row is an object: `bucket`, the groups and the measures by name.

    An amount also stands as exact text beside it, under its name with `Exact`.
    """

    rows: list[dict[str, Value]]
    truncated: bool


@get("/api/query", summary="Any measures by any dimensions", media_type="application/json")
async def query_usage(request: Request[Any, Any, Any], principal: Caller) -> Response[Any]:
    """`measures`, `groupBy`, `interval`, `orderBy`, `limit`, `format` and what `/api/stats` takes.

    `filter=NAME:VALUE` says the same as `NAME=VALUE`.
    """
    services = services_of(request)
    await count_question(services, principal)
    asked = parse_table(request.query_params.multi_items())
    scope = await asked_scope(request, principal, asked.usage, asked.group_by)
    if asked.format != "json":
        principal.check_all(scope.workspaces, "usage.export")
    found = await table(services.store, asked, scope, services.clock.now_us())
    if asked.format == "csv":
        headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
        return Response(csv_text(found), media_type="text/csv", headers=headers)
    if asked.format == "parquet":
        headers = {"Content-Disposition": 'attachment; filename="usage.parquet"'}
        body = await asyncio.to_thread(services.parquet, columns(found))
        return Response(body, media_type=PARQUET, headers=headers)
    rows = [json_row(asked, line) for line in found.lines]
    return Response(QueryAnswer(rows, found.truncated), media_type="application/json")


def json_row(asked: TableRequest, line: Line) -> dict[str, Value]:
    row = _labels(asked, line)
    for measure in asked.measures:
        value = getattr(line.totals, measure)
        name = wire_name(measure)
        if measure in MONEY:
            row[name] = None if value is None else usd_number(value)
            row[f"{name}Exact"] = None if value is None else usd_text(value)
        else:
            row[name] = value
    return row


def csv_text(found: Table) -> str:
    """The rows as CSV with exact amounts; no text can be taken for a formula."""
    asked = found.request
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    bucket = ["bucket"] if asked.interval is not None else []
    groups = [group_name(dimension) for dimension in asked.group_by]
    writer.writerow([*bucket, *map(inert, groups), *map(wire_name, asked.measures)])
    for line in found.lines:
        labels = [
            inert(str(label)) if label is not None else ""
            for label in _labels(asked, line).values()
        ]
        values = [_csv_value(line, measure) for measure in asked.measures]
        writer.writerow([*labels, *values])
    return written.getvalue()


def columns(found: Table) -> list[Column]:
    """The rows by column, for a file whose columns have kinds."""
    asked, lines = found.request, found.lines
    made = []
    if asked.interval is not None:
        made.append(Column("bucket", "instant", [line.bucket_us for line in lines]))
    for place, dimension in enumerate(asked.group_by):
        made.append(Column(group_name(dimension), "text", [line.group[place] for line in lines]))
    for measure in asked.measures:
        values = [getattr(line.totals, measure) for line in lines]
        if measure in MONEY:
            exact = [None if value is None else usd_text(value) for value in values]
            made.append(Column(wire_name(measure), "usd", exact))
        else:
            kind: Kind = "number" if measure.startswith(DURATIONS) else "integer"
            made.append(Column(wire_name(measure), kind, values))
    return made


def inert(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _csv_value(line: Line, measure: str) -> str:
    value = getattr(line.totals, measure)
    if value is None:
        return ""
    return usd_text(value) if measure in MONEY else str(value)


def _labels(asked: TableRequest, line: Line) -> dict[str, Value]:
    labels: dict[str, Value] = {} if line.bucket_us is None else {"bucket": iso(line.bucket_us)}
    for dimension, value in zip(asked.group_by, line.group, strict=True):
        labels[group_name(dimension)] = value
    return labels


ROUTES = (query_usage,)

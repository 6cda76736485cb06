"""The columns of a stored event, once: their names, kinds, order and numbers.

A column's number is its place in COLUMNS and is written in every segment, so the list only
ever grows at its end. A segment from before a column was added simply doesn't have it.
"""

from enum import Enum

import msgspec

from tokenwatcher_server.events.event import Cost, Event
from tokenwatcher_server.events.tokens import BUCKETS, Tokens

ABSENT = -(2**63)
"""Stands for None among packed numbers; no count, instant or amount can be it."""


class Kind(Enum):
    ID = "UUID, or VARCHAR"
    TEXT = "VARCHAR"
    NUMBER = "BIGINT"
    INSTANT = "BIGINT, near its neighbour"
    FLAG = "BOOLEAN"
    TAGS = "MAP(VARCHAR, VARCHAR)"
    JSON = "JSON text"


class Column(msgspec.Struct, frozen=True):
    name: str
    kind: Kind


def _columns(kind: Kind, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name in names)


COLUMNS = (
    # the segment that holds the event: written in repricings alone, which name it
    *_columns(Kind.NUMBER, "sequence"),
    *_columns(Kind.ID, "id"),
    *_columns(Kind.TEXT, "workspace_id", "project_id"),
    *_columns(Kind.INSTANT, "occurred_at", "received_at"),
    *_columns(Kind.TEXT, "event_type", "status", "provider", "model", "usage_quality"),
    *_columns(Kind.TEXT, "requested_model", "service_tier", "requested_service_tier"),
    *_columns(Kind.NUMBER, "latency_ms", "time_to_first_token_ms"),
    *_columns(Kind.FLAG, "streaming"),
    *_columns(Kind.TEXT, "user_id", "end_user_id", "session_id", "request_id", "response_id"),
    *_columns(Kind.TEXT, "trace_id", "span_id", "parent_span_id", "error_type", "error_message"),
    *_columns(Kind.TAGS, "tags"),
    *_columns(Kind.JSON, "metadata", "server_tool_calls"),
    *_columns(Kind.NUMBER, "reported_cost", "stated_cost"),
    *_columns(Kind.TEXT, "prompt", "completion"),
    *_columns(Kind.NUMBER, *BUCKETS, "cost_total", "cost_fees", "cache_savings"),
    *_columns(Kind.TEXT, "cost_rates", "price_id", "price_match", "unpriced_reason"),
)
NUMBER_OF = {column.name: number for number, column in enumerate(COLUMNS)}

SHAPE_COLUMNS = (
    "workspace_id", "project_id", "event_type", "status", "provider", "model", "usage_quality",
    "requested_model", "service_tier", "requested_service_tier", "streaming", "error_type",
    "cost_rates", "price_id", "price_match", "unpriced_reason",
)  # fmt: skip
"""What calls of one kind have in common: a commit holds few combinations of these."""

DETAIL_COLUMNS = (
    "requested_service_tier", "trace_id", "span_id", "parent_span_id", "error_message",
    "metadata", "server_tool_calls", "stated_cost", "prompt", "completion",
)  # fmt: skip
"""What is shown but never asked for: in DuckDB one JSON text, as every column has its price."""

# where each column's value lives: the structs' own field order is the order of `astuple`
EVENT_COLUMNS = Event.__struct_fields__
TOKEN_COLUMNS = Tokens.__struct_fields__
COST_COLUMNS = tuple(
    {"total": "cost_total", "fees": "cost_fees"}.get(name, name) for name in Cost.__struct_fields__
)
PRICE_COLUMNS = ("cost_total", "cost_rates", "cost_fees", "cache_savings",
                 "price_id", "price_match", "unpriced_reason")  # fmt: skip
"""What a repricing replaces."""
REPRICING_COLUMNS = tuple(
    COLUMNS[NUMBER_OF[name]] for name in ("sequence", "workspace_id", "id", *PRICE_COLUMNS)
)
ID_TEXT = "coalesce(other_id, id::varchar)"
"""An id's own text: UUIDs are in the column `id`, all others in `other_id`."""

_TYPES = {Kind.ID: "UUID", Kind.INSTANT: "BIGINT"}
STORED_COLUMNS = {
    column.name: _TYPES.get(column.kind, column.kind.value)
    for column in COLUMNS
    if column.name not in DETAIL_COLUMNS
}
"""The columns that DuckDB has an own one for, and their types there."""
DERIVED_COLUMNS = {
    "other_id": "VARCHAR",
    "details": "VARCHAR",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
}

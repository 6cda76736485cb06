"""What people call measures and dimensions, and how a measure's value is written."""

from collections.abc import Mapping

import msgspec

from tokenwatcher_server.events.query import Measure
from tokenwatcher_server.usage.result import Totals
from tokenwatcher_server.usage.table import MONEY
from tokenwatcher_server.web.pages.links import LABELS

MEASURE_LABELS: Mapping[Measure, str] = {
    "cost": "Cost",
    "calls": "Calls",
    "total_tokens": "Tokens",
    "input_tokens": "Input tokens",
    "input_tokens_p50": "Input tokens, median call",
    "output_tokens": "Output tokens",
    "cache_read_tokens": "Cache reads",
    "cache_write_tokens": "Cache writes",
    "reasoning_tokens": "Reasoning tokens",
    "cache_savings": "Saved by cache",
    "errors": "Failed calls",
    "unpriced": "Calls without a price",
    "users": "Users",
    "latency_avg": "Latency, mean",
    "latency_p50": "Latency, median",
    "latency_p95": "Latency, p95",
    "time_to_first_token_p50": "First token, median",
    "reported_cost": "Cost, as providers say",
}
DIMENSION_LABELS: Mapping[str, str] = {
    "model": "model",
    "provider": "provider",
    "projectId": "project",
    "environment": "environment",
    "userId": "user",
    "sessionId": "session",
    "endUserId": "end user",
    "status": "status",
    "serviceTier": "service tier",
    **LABELS,
    "workspaceId": "workspace",
}


class Amount(msgspec.Struct, frozen=True):
    """A measure's value with how to write it: `money`, `count` or `duration`."""

    kind: str
    value: int | float | None


def amount(measure: Measure, totals: Totals) -> Amount:
    value = totals.known_cost if measure == "cost" else getattr(totals, measure)
    return Amount(kind_of(measure), value)


def kind_of(measure: Measure) -> str:
    if measure in MONEY:
        return "money"
    return "duration" if measure.startswith(("latency_", "time_to_")) else "count"

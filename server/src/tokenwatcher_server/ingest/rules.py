"""What must hold between the fields of one event, beyond each field's own type and limits."""

from collections.abc import Iterator
from datetime import UTC
from decimal import Decimal

import msgspec

from tokenwatcher_server.events.tokens import Tokens, TokensDisagree
from tokenwatcher_server.ingest.buckets import to_buckets
from tokenwatcher_server.ingest.wire import WireEvent
from tokenwatcher_server.kernel.clock import DAY_US, to_us

OLDEST_US = 3653 * DAY_US  # ten years
LATEST_US = DAY_US
MOST_USD = Decimal(1_000_000)

Broken = tuple[str, str]
"""The wire name of a field, and what is wrong with it."""


def examine(event: WireEvent, now_us: int, *, nul_possible: bool) -> tuple[Tokens, list[Broken]]:
    """Give the event's token buckets and every rule it breaks (none, for a good event)."""
    broken: list[Broken] = []
    if event.event_type == "error" or event.input_tokens is None or event.output_tokens is None:
        _check_required(event, broken)
    tokens = Tokens()
    try:
        tokens = to_buckets(event)
    except TokensDisagree as disagreement:
        broken.append((disagreement.part, str(disagreement)))
    if event.timestamp is not None:
        _check_time(event, now_us, broken)
    if event.total_cost_usd is not None:
        _check_amount("totalCostUsd", event.total_cost_usd, broken)
    if event.reported_cost_usd is not None:
        _check_amount("reportedCostUsd", event.reported_cost_usd, broken)
    if nul_possible:
        broken.extend(_nul_characters(event))
    return tokens, broken


def instant_of(event: WireEvent) -> int | None:
    """The event's own time in microseconds, None where it has none.

    A time without an offset is taken as UTC. Raises OverflowError before the year 1.
    """
    timestamp = event.timestamp
    if timestamp is None:
        return None
    return to_us(timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC))


def _check_required(event: WireEvent, broken: list[Broken]) -> None:
    if event.event_type == "error":
        if not event.error_type:
            broken.append(("errorType", "is required for an error event"))
    elif event.usage_quality != "missing":
        if event.input_tokens is None:
            broken.append(("inputTokens", "is required for a usage event"))
        if event.output_tokens is None:
            broken.append(("outputTokens", "is required for a usage event"))


def _check_time(event: WireEvent, now_us: int, broken: list[Broken]) -> None:
    try:
        happened = instant_of(event) or 0
    except OverflowError:
        happened = 0
    if happened < now_us - OLDEST_US:
        broken.append(("timestamp", "is more than ten years ago"))
    elif happened > now_us + LATEST_US:
        broken.append(("timestamp", "is more than a day ahead"))


def _check_amount(field: str, amount: Decimal, broken: list[Broken]) -> None:
    if not (amount.is_finite() and 0 <= amount <= MOST_USD):
        broken.append((field, "must be from 0 to 1,000,000"))


def _nul_characters(event: WireEvent) -> Iterator[Broken]:
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        texts = [value] if isinstance(value, str) else []
        if isinstance(value, dict):
            texts = [*value, *(inner for inner in value.values() if isinstance(inner, str))]
        if any("\0" in text for text in texts):
            yield field.encode_name, "must not contain NUL characters"

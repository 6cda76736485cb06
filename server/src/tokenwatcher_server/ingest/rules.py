"""What must hold between the fields of one event, beyond each field's own type and limits."""

from collections.abc import Iterator
from datetime import UTC, datetime
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


def examine(
    event: WireEvent, now_us: int, *, nul_possible: bool
) -> tuple[Tokens, int, list[Broken]]:
    """Give the event's token buckets, its instant, and every rule it breaks (none, if good)."""
    broken: list[Broken] = []
    occurred_at = now_us
    if event.event_type == "error" or event.input_tokens is None or event.output_tokens is None:
        _check_required(event, broken)
    tokens = Tokens()
    try:
        tokens = to_buckets(event)
    except TokensDisagree as disagreement:
        broken.append((disagreement.part, str(disagreement)))
    if event.timestamp is not None:
        occurred_at = _instant(event.timestamp)
        _check_time(occurred_at, now_us, broken)
    if event.total_cost_usd is not None:
        _check_amount("totalCostUsd", event.total_cost_usd, broken)
    if event.reported_cost_usd is not None:
        _check_amount("reportedCostUsd", event.reported_cost_usd, broken)
    if nul_possible:
        broken.extend(_nul_characters(event))
    return tokens, occurred_at, broken


def _instant(timestamp: datetime) -> int:
    """Microseconds since 1970; a time without an offset is taken as UTC."""
    try:
        return to_us(timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC))
    except OverflowError:  # an offset that leads to before the year 1
        return 0


def _check_required(event: WireEvent, broken: list[Broken]) -> None:
    if event.event_type == "error":
        if not event.error_type:
            broken.append(("errorType", "is required for an error event"))
    elif event.usage_quality != "missing":
        if event.input_tokens is None:
            broken.append(("inputTokens", "is required for a usage event"))
        if event.output_tokens is None:
            broken.append(("outputTokens", "is required for a usage event"))


def _check_time(happened: int, now_us: int, broken: list[Broken]) -> None:
    if happened < now_us - OLDEST_US:
        broken.append(("timestamp", "is more than ten years ago"))
    elif happened > now_us + LATEST_US:
        broken.append(("timestamp", "is more than a day ahead"))


def dollars(amount: str | float) -> Decimal:
    """The amount as it was written: a number's shortest text is what was sent."""
    return Decimal(str(amount))


def _check_amount(field: str, amount: str | float, broken: list[Broken]) -> None:
    if not 0 <= dollars(amount) <= MOST_USD:
        broken.append((field, "must be from 0 to 1,000,000"))


def _nul_characters(event: WireEvent) -> Iterator[Broken]:
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        texts = [value] if isinstance(value, str) else []
        if isinstance(value, dict):
            texts = [*value, *(inner for inner in value.values() if isinstance(inner, str))]
        if any("\0" in text for text in texts):
            yield field.encode_name, "must not contain NUL characters"

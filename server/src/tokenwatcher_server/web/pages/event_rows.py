"""Events as rows of a table, on the overview and on their own page."""

from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS, Tokens
from tokenwatcher_server.kernel.clock import iso, to_datetime
from tokenwatcher_server.kernel.period import day_of
from tokenwatcher_server.usage.palette import ModelKey
from tokenwatcher_server.usage.text import day_text, share
from tokenwatcher_server.web.pages.links import event_address


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    href: str
    at: str
    """The instant, as `<time datetime>` wants it."""
    time: str
    provider: str
    model: str
    slot: int
    tags: tuple[str, ...]
    input_tokens: int | None
    output_tokens: int | None
    cached: str
    latency_ms: int | None
    failed: bool
    error_type: str | None
    cost: int | None
    unpriced: bool


def event_row(
    stored: StoredEvent, colours: dict[ModelKey, int], now_us: int, zone: ZoneInfo
) -> EventRow:
    event, cost = stored.priced.event, stored.priced.cost
    tokens_in = total(event.tokens, INPUT_BUCKETS)
    return EventRow(
        id=event.id,
        href=event_address(event.id),
        at=iso(event.occurred_at),
        time=_time(event.occurred_at, now_us, zone),
        provider=event.provider,
        model=event.model,
        slot=colours.get((event.provider, event.model), 0),
        tags=tuple(f"{key}={value}" for key, value in event.tags.items()),
        input_tokens=tokens_in,
        output_tokens=total(event.tokens, OUTPUT_BUCKETS),
        cached=_cached(event.tokens, tokens_in),
        latency_ms=event.latency_ms,
        failed=event.status == "error",
        error_type=event.error_type,
        cost=cost.total,
        unpriced=cost.total is None and event.event_type == "usage",
    )


def total(tokens: Tokens, buckets: tuple[str, ...]) -> int | None:
    """The tokens of these buckets together; None where nothing was said about any."""
    said = [count for bucket in buckets if (count := getattr(tokens, bucket)) is not None]
    return sum(said) if said else None


def _cached(tokens: Tokens, tokens_in: int | None) -> str:
    read = total(tokens, ("cache_read", "cache_read_audio"))
    return f"{share(read, tokens_in)} cached" if read and tokens_in else ""


def _time(at_us: int, now_us: int, zone: ZoneInfo) -> str:
    clock_time = to_datetime(at_us).astimezone(zone).strftime("%H:%M:%S")
    day = day_of(at_us, zone)
    return clock_time if day == day_of(now_us, zone) else f"{day_text(day)}, {clock_time}"

"""One call as it is recorded, and as it goes over the wire.

Recording makes an `Event` on the caller's thread, which must be cheap. Turning it into the
wire's JSON, with every text cut to its limit, is the sender's work.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, NamedTuple, Protocol, TypedDict

from tokenwatcher.usage.reading import Failure, Quality, Tokens, quality_of

TagValue = str | int | float | bool | None
Tags = Mapping[str, TagValue]

_TOKEN_FIELDS = (
    "inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite5mTokens",
    "cacheWrite1hTokens", "reasoningTokens", "toolPromptTokens", "audioInputTokens",
    "audioOutputTokens", "imageInputTokens",
)  # fmt: skip
_MOST_TAGS = 20
_LONGEST_KEY = 60
_LONGEST_VALUE = 300
_LARGEST_WHOLE = 2**63 - 1
_LONGEST_DURATION_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ONE_MICROSECOND = timedelta(microseconds=1)
_NANOSECONDS = 1_000_000_000
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class Facts(NamedTuple):
    """What the app says about a call, apart from what the answer says."""

    provider: str | None = None
    model: str | None = None
    service_tier: str | None = None
    tags: Tags | None = None
    metadata: Tags | None = None
    store_prompt: str | None = None
    """The prompt, where it is to leave the process."""
    user_id: str | None = None
    end_user_id: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None


class Who(TypedDict, total=False):
    """Who asked and for what, as arguments by name."""

    tags: Tags | None
    metadata: Tags | None
    user_id: str | None
    end_user_id: str | None
    session_id: str | None
    request_id: str | None
    trace_id: str | None


class OpenFacts(Who, total=False):
    """The facts of a call whose provider and model are said already."""

    service_tier: str | None
    span_id: str | None
    parent_span_id: str | None


class BlockFacts(OpenFacts, total=False):
    """The same, with the prompt where this call's is to be sent."""

    store_prompt: str | None


class CallFacts(BlockFacts, total=False):
    """All of `Facts`, as arguments by name."""

    provider: str | None
    model: str | None


class Event(NamedTuple):
    """One call. Instants are nanoseconds since 1970 (UTC), durations are milliseconds."""

    id: str
    at_ns: int
    facts: Facts
    provider: str
    model: str
    tokens: Tokens = Tokens()
    quality: Quality | None = None
    event_type: Literal["usage", "error"] = "usage"
    requested_model: str | None = None
    service_tier: str | None = None
    requested_service_tier: str | None = None
    server_tool_calls: Mapping[str, int] | None = None
    reported_cost_usd: str | None = None
    total_cost_usd: float | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    streaming: bool | None = None
    request_id: str | None = None
    response_id: str | None = None
    failure: Failure | None = None
    tags: Tags | None = None
    metadata: Tags | None = None
    project_slug: str | None = None
    prompt: str | None = None
    completion: str | None = None


class Unread(Protocol):
    """A call whose answer is still to be read, which is left to the sender's thread."""

    def read(self) -> Iterable[Event]:
        """Give the event, or the events where several models answered; asked for once."""
        ...


Recorded = Event | Unread


def encode(event: Event) -> bytes:
    """Give an event as the JSON of the wire contract; raises ValueError where none can be made."""
    return _JSON.encode(to_wire(event)).encode("utf-8", errors="replace")


def to_wire(event: Event) -> dict[str, object]:
    """Give an event as the wire names it: what is not known is left out."""
    facts = event.facts
    fields: dict[str, object] = {
        "id": event.id,
        "timestamp": iso(event.at_ns),
        "eventType": event.event_type,
        "status": "success" if event.failure is None else "error",
        "provider": cut(event.provider, 50) or "unknown",
        "model": cut(event.model, 200) or "unknown",
        "usageQuality": _quality(event),
        "requestedModel": cut(event.requested_model, 200),
        "serviceTier": cut(event.service_tier, 50),
        "requestedServiceTier": cut(event.requested_service_tier, 50),
        "latencyMs": _duration(event.latency_ms),
        "timeToFirstTokenMs": _duration(event.time_to_first_token_ms),
        "streaming": event.streaming,
        "responseId": cut(event.response_id, 200),
        "requestId": cut(facts.request_id or event.request_id, 200),
        "userId": cut(facts.user_id, 200),
        "endUserId": cut(facts.end_user_id, 200),
        "sessionId": cut(facts.session_id, 200),
        "traceId": cut(facts.trace_id, 200),
        "spanId": cut(facts.span_id, 200),
        "parentSpanId": cut(facts.parent_span_id, 200),
        "projectSlug": cut(event.project_slug, 100),
        "serverToolCalls": event.server_tool_calls or None,
        "reportedCostUsd": event.reported_cost_usd,
        "totalCostUsd": event.total_cost_usd,
        "tags": _tags(event.tags),
        "metadata": _tags(event.metadata),
        "prompt": cut(event.prompt or facts.store_prompt, 20_000),
        "completion": cut(event.completion, 20_000),
    }
    fields.update(zip(_TOKEN_FIELDS, event.tokens, strict=True))
    if event.failure is not None:
        fields["errorType"] = cut(event.failure.type, 120) or "error"
        fields["errorMessage"] = cut(event.failure.message, 1000)
    return {name: value for name, value in fields.items() if value is not None}


def iso(at_ns: int) -> str:
    """Give an instant as the wire has it: `2026-05-01T00:00:00.000000Z`."""
    seconds, rest = divmod(at_ns, _NANOSECONDS)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06d}Z"


def instant_ns(timestamp: datetime | float | None) -> int:
    """Give an instant in nanoseconds, now by default; a datetime without a zone is local time."""
    if timestamp is None:
        return time.time_ns()
    if isinstance(timestamp, datetime):
        return (timestamp.astimezone(timezone.utc) - _EPOCH) // _ONE_MICROSECOND * 1000
    return round(timestamp * 1_000_000) * 1000


def whole(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds)


def cut(value: object, longest: int) -> str | None:
    """Give a value as a text within its limit; NUL characters, which no store takes, are dropped."""
    if value is None:
        return None
    text = value if isinstance(value, str) else str(value)
    return text[:longest].replace("\0", "") or None


def _quality(event: Event) -> Quality | None:
    if event.quality is None and event.event_type == "usage":
        return quality_of(event.tokens)
    return event.quality


def _duration(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else min(max(milliseconds, 0), _LONGEST_DURATION_MS)


def _tags(tags: Tags | None) -> dict[str, object] | None:
    if not tags:
        return None
    kept: dict[str, object] = {}
    for key, value in tags.items():
        name = cut(key, _LONGEST_KEY)
        if name is not None and len(kept) < _MOST_TAGS:
            try:
                kept[name] = _tag_value(value)
            except Exception:  # noqa: BLE001  # its own __str__ may raise: that costs no event
                kept[name] = f"<{type(value).__name__}>"
    return kept or None


def _tag_value(value: Any) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_LARGEST_WHOLE <= value <= _LARGEST_WHOLE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return cut(value, _LONGEST_VALUE) or ""

"""`GET /api/events` and `/api/events/{id}`: stored events, newest first, and one explained."""

from typing import Any

import msgspec
from litestar import Request, get
from litestar.params import FromPath

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.query import EventFilter
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.ingest.receipt import CostReceipt, cost_receipt
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.money import usd_text
from tokenwatcher_server.pricing.operations import explanation
from tokenwatcher_server.pricing.price import CostLine
from tokenwatcher_server.usage.parameters import Parameters, Reader
from tokenwatcher_server.usage.request import UsageRequest, parse_with
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.cursor import encode_place, read_cursor
from tokenwatcher_server.web.rate_limit import count_question
from tokenwatcher_server.web.scope import asked_scope
from tokenwatcher_server.web.services import services_of

MOST_EVENTS = 500
DEFAULT_EVENTS = 50


class EventAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An event with the field names of ingest. What was never said is left out."""

    id: str
    workspace_id: str
    project_id: str
    timestamp: str
    received_at: str
    event_type: str
    status: str
    provider: str
    model: str
    usage_quality: str
    cost: CostReceipt
    priced: bool
    requested_model: str | None = None
    service_tier: str | None = None
    requested_service_tier: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = msgspec.field(default=None, name="cacheWrite5mTokens")
    cache_write_1h_tokens: int | None = msgspec.field(default=None, name="cacheWrite1hTokens")
    reasoning_tokens: int | None = None
    tool_prompt_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None
    server_tool_calls: dict[str, int] = {}
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    streaming: bool | None = None
    user_id: str | None = None
    end_user_id: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    response_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    reported_cost_usd: str | None = None
    price_match: str | None = None
    unpriced_reason: str | None = None
    prompt: str | None = None
    completion: str | None = None


class EventsAnswer(msgspec.Struct, frozen=True, rename="camel"):
    events: list[EventAnswer]
    next_cursor: str | None


class ExplainedLine(msgspec.Struct, frozen=True, rename="camel"):
    """Quantity times unit price is the amount; money is exact, in picodollars and in dollars."""

    what: str
    quantity: int
    unit: str
    unit_price: int
    unit_price_usd: str
    amount: int
    amount_usd: str
    why: str


class OneEventAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One event, and its cost line by line: the lines add up to the total exactly."""

    event: EventAnswer
    explanation: list[ExplainedLine]


def event_answer(stored: StoredEvent) -> EventAnswer:
    """Turn a stored event back into what the wire calls it."""
    event, cost = stored.priced.event, stored.priced.cost
    return EventAnswer(
        timestamp=iso(event.occurred_at),
        received_at=iso(event.received_at),
        cost=cost_receipt(cost),
        priced=cost.total is not None,
        price_match=cost.price_match,
        unpriced_reason=cost.unpriced_reason,
        reported_cost_usd=None if event.reported_cost is None else usd_text(event.reported_cost),
        **_counts(event),
        **{name: getattr(event, name) for name in _SAME_NAMES},
    )


_SAME_NAMES = tuple(
    {field.name for field in msgspec.structs.fields(Event)}
    & {field.name for field in msgspec.structs.fields(EventAnswer)} - {"received_at"}
)


def _counts(event: Event) -> dict[str, Any]:
    """The wire's wholes and parts, from the disjoint buckets."""
    tokens = event.tokens
    return {
        "input_tokens": _whole(*(getattr(tokens, bucket) for bucket in INPUT_BUCKETS)),
        "output_tokens": _whole(*(getattr(tokens, bucket) for bucket in OUTPUT_BUCKETS)),
        "cache_read_tokens": _whole(tokens.cache_read, tokens.cache_read_audio),
        "cache_write_tokens": _whole(
            tokens.cache_write_5m, tokens.cache_write_1h, tokens.cache_write_other
        ),
        "cache_write_5m_tokens": tokens.cache_write_5m,
        "cache_write_1h_tokens": tokens.cache_write_1h,
        "reasoning_tokens": tokens.output_reasoning,
        "tool_prompt_tokens": tokens.input_tool_prompt,
        "audio_input_tokens": _whole(tokens.input_audio, tokens.cache_read_audio),
        "audio_output_tokens": tokens.output_audio,
        "image_input_tokens": tokens.input_image,
    }


def _whole(*parts: int | None) -> int | None:
    said = [part for part in parts if part is not None]
    return sum(said) if said else None


def encode_cursor(stored: StoredEvent) -> str:
    """Where the page after this event begins."""
    return encode_place(stored.priced.event.occurred_at, stored.priced.event.id)


class EventsRequest(msgspec.Struct, frozen=True):
    usage: UsageRequest
    limit: int
    before: tuple[int, str] | None


def parse_events_request(parameters: Parameters) -> EventsRequest:
    """Read `limit`, `cursor` and the filters of `/api/stats`; raises AppError."""
    reader = Reader(parameters)
    usage = parse_with(reader)
    limit = reader.whole("limit", 1, MOST_EVENTS, DEFAULT_EVENTS)
    before = read_cursor(reader)
    reader.finish()
    return EventsRequest(usage, limit, before)


@get("/api/events", summary="Stored events, newest first")
async def list_events(request: Request[Any, Any, Any], principal: Caller) -> EventsAnswer:
    services = services_of(request)
    await count_question(services, principal)
    wanted = parse_events_request(list(request.query_params.multi_items()))
    found = await services.store.events(
        EventFilter(
            scope=await asked_scope(request, principal, wanted.usage),
            period=wanted.usage.period(services.clock.now_us()),
            filters=wanted.usage.filters,
            before=wanted.before,
            limit=wanted.limit,
        )
    )
    full = len(found) == wanted.limit
    return EventsAnswer(
        events=[event_answer(stored) for stored in found],
        next_cursor=encode_cursor(found[-1]) if full else None,
    )


@get("/api/events/{event_id:str}", summary="One event, its cost explained line by line")
async def one_event(
    request: Request[Any, Any, Any], principal: Caller, event_id: FromPath[str]
) -> OneEventAnswer:
    services = services_of(request)
    stored = await services.store.event(principal.scope, event_id)
    if stored is None:
        raise not_found("There is no such event in what you may see.")
    explained = await explanation(stored.priced.event, stored.priced.cost, services.prices)
    return OneEventAnswer(event_answer(stored), [_explained(line) for line in explained.lines])


def _explained(line: CostLine) -> ExplainedLine:
    return ExplainedLine(
        what=line.what,
        quantity=line.quantity,
        unit=line.unit,
        unit_price=line.unit_price,
        unit_price_usd=usd_text(line.unit_price),
        amount=line.amount,
        amount_usd=usd_text(line.amount),
        why=line.why,
    )


ROUTES = (list_events, one_event)

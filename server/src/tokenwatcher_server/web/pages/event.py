"""`/events/{id}`: one event, everything that is known of it, and its cost line by line."""

import msgspec
from litestar import Response, get
from litestar.params import FromPath

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.money import usd_text
from tokenwatcher_server.pricing.operations import Explanation, explanation
from tokenwatcher_server.pricing.price import CostLine
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.text import count, duration, rate
from tokenwatcher_server.web.pages.answer import answer_page, moment_of
from tokenwatcher_server.web.pages.event_rows import total
from tokenwatcher_server.web.pages.links import EVENTS, Link, where
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

MILLION = 1_000_000


class Line(msgspec.Struct, frozen=True):
    """One line of the arithmetic; `price` is what a person would look up: per million tokens."""

    what: str
    quantity: str
    price: str
    exact_price: str
    amount: int
    why: str


class Fact(msgspec.Struct, frozen=True):
    name: str
    value: str
    href: str | None = None


class EventPage(msgspec.Struct, frozen=True):
    id: str
    provider: str
    model: str
    at: str
    failed: bool
    cost: int | None
    unpriced_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: int | None
    first_token_ms: int | None
    lines: tuple[Line, ...]
    price_match: str | None
    facts: tuple[Fact, ...]
    tags: tuple[Link, ...]
    metadata: tuple[tuple[str, str], ...]
    error_message: str | None
    prompt: str | None
    completion: str | None


@get(f"{EVENTS}/{{event_id:str}}", include_in_schema=False)
async def event_page(request: AnyRequest, event_id: FromPath[str]) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    stored = await services.store.event(viewer.scope(UsageRequest()), event_id)
    if stored is None:
        raise not_found("There is no such event in what you may see.")
    explained = await explanation(stored.priced.event, stored.priced.cost, services.prices)
    page = event_of(stored, explained, dict(viewer.projects))
    return answer_page(request, await moment_of(request, viewer), "event.html", viewer, page)


def event_of(stored: StoredEvent, explained: Explanation, projects: dict[str, str]) -> EventPage:
    event, cost = stored.priced.event, stored.priced.cost
    return EventPage(
        id=event.id,
        provider=event.provider,
        model=event.model,
        at=iso(event.occurred_at),
        failed=event.status == "error",
        cost=cost.total,
        unpriced_reason=cost.unpriced_reason,
        input_tokens=total(event.tokens, INPUT_BUCKETS),
        output_tokens=total(event.tokens, OUTPUT_BUCKETS),
        latency_ms=event.latency_ms,
        first_token_ms=event.time_to_first_token_ms,
        lines=tuple(_line(line) for line in explained.lines),
        price_match=cost.price_match,
        facts=tuple(_facts(event, projects)),
        tags=tuple(_tag(key, value) for key, value in event.tags.items()),
        metadata=tuple(event.metadata.items()),
        error_message=event.error_message,
        prompt=event.prompt,
        completion=event.completion,
    )


def _line(line: CostLine) -> Line:
    if line.unit == "token":
        price = f"{rate(line.unit_price * MILLION)} per 1M"
    elif line.unit == "ms of an hour":
        price = f"{rate(line.unit_price)} an hour"
    else:
        price = f"{rate(line.unit_price)} per {line.unit}"
    in_milliseconds = line.unit.startswith("ms")
    return Line(
        what=line.what,
        quantity=duration(line.quantity) if in_milliseconds else count(line.quantity),
        price=price,
        exact_price=f"${usd_text(line.unit_price)} for one {line.unit}",
        amount=line.amount,
        why=line.why,
    )


def _facts(event: Event, projects: dict[str, str]) -> list[Fact]:
    """What was said about the call, in the order people ask; what wasn't said is left out."""
    known: list[tuple[str, str | None, Dimension | None]] = [
        ("Project", projects.get(event.project_id, event.project_id), None),
        ("User", event.user_id, Dimension("user")),
        ("End user", event.end_user_id, Dimension("end_user")),
        ("Session", event.session_id, Dimension("session")),
        ("Model asked for", event.requested_model, Dimension("requested_model")),
        ("Service tier", event.service_tier, Dimension("service_tier")),
        ("Service tier asked for", event.requested_service_tier, None),
        ("Streamed", None if event.streaming is None else _yes(answer=event.streaming), None),
        ("Counts", event.usage_quality, Dimension("usage_quality")),
        ("Error", event.error_type, Dimension("error_type")),
        ("Request", event.request_id, None),
        ("Answer", event.response_id, None),
        ("Trace", event.trace_id, None),
        ("Span", event.span_id, None),
        ("Parent span", event.parent_span_id, None),
        ("Provider says it charged", _exact(event.reported_cost), None),
        ("Received", iso(event.received_at), None),
        ("Event", event.id, None),
    ]
    return [
        Fact(name, value, None if field is None else where(EVENTS, UsageRequest(), (field, value)))
        for name, value, field in known
        if value is not None
    ]


def _yes(*, answer: bool) -> str:
    return "yes" if answer else "no"


def _exact(amount: int | None) -> str | None:
    return None if amount is None else f"${usd_text(amount)}"


def _tag(key: str, value: str) -> Link:
    return Link(f"{key}={value}", where(EVENTS, UsageRequest(), (Dimension("tag", key), value)))


ROUTES = (event_page,)

"""`/start`: how to send the first event, with a key made on the spot, and whether it has come."""

import msgspec
from litestar import Response, get, post

from tokenwatcher_server.events.query import EventFilter
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.parameters import Reader
from tokenwatcher_server.usage.request import LONGEST_DAYS
from tokenwatcher_server.web.client_address import own_address
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.keys import make_key, scopes_of
from tokenwatcher_server.web.pages.links import START, event_address
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.render import render
from tokenwatcher_server.web.services import services_of

LOOKED_AT = 20


class Landed(msgspec.Struct, frozen=True):
    """Whether an event has come since the page was made; `model` None as long as none has."""

    since_us: int
    model: str | None = None
    cost: int | None = None
    href: str = ""


class StartPage(msgspec.Struct, frozen=True):
    """How to send an event here. `raw_key` is there right after it was made, and never again."""

    endpoint: str
    landed: Landed
    raw_key: str | None = None
    belongs: bool = True
    """False for who belongs to no workspace yet."""
    makes_keys: bool = True
    live: bool = False
    """True where the page turns into the overview by itself."""


@get(START, include_in_schema=False)
async def start_page(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    moment = Moment(services_of(request).clock.now_us(), None)
    return answer_page(request, moment, "start.html", viewer, start_of(request, viewer, moment))


@post(START, include_in_schema=False, status_code=200, right="keys.change")
async def make_first_key(request: AnyRequest) -> Response[str]:
    """One click: a live key for the first project, shown inside the snippets, once."""
    viewer = await viewer_of(request)
    homes = scopes_of(viewer)
    first = {"name": "First key", "kind": "live", "scope": homes[0].value if homes else ""}
    made = await make_key(request, viewer, first)
    moment = Moment(services_of(request).clock.now_us(), None)
    page = start_of(request, viewer, moment)
    page = msgspec.structs.replace(page, raw_key=made.raw_key)
    return answer_page(request, moment, "start.html", viewer, page)


@get(f"{START}/status", include_in_schema=False)
async def first_event(request: AnyRequest) -> Response[str]:
    """The part of the page that waits; asked for again and again until it has good news."""
    viewer = await viewer_of(request)
    reader = Reader(parameters_of(request))
    text = reader.one("since", 20) or "0"
    if not (text.isascii() and text.isdigit()):
        reader.wrong("since", "must be microseconds since 1970")
    reader.finish()
    landed = await _landed(request, viewer, int(text))
    return Response(render("start/landed.html", viewer.frame, landed), media_type="text/html")


def start_of(request: AnyRequest, viewer: Viewer, moment: Moment) -> StartPage:
    return StartPage(
        endpoint=own_address(request, services_of(request).settings),
        landed=Landed(moment.now_us),
        belongs=bool(viewer.workspaces),
        makes_keys=viewer.principal.may("keys.change"),
    )


async def _landed(request: AnyRequest, viewer: Viewer, since_us: int) -> Landed:
    services = services_of(request)
    now_us = services.clock.now_us()
    everything = Period(now_us - LONGEST_DAYS * DAY_US, now_us + 2 * DAY_US)
    wanted = EventFilter(scope=viewer.principal.scope, period=everything, limit=LOOKED_AT)
    for stored in await services.store.events(wanted):
        event = stored.priced.event
        if event.received_at >= since_us:
            return Landed(since_us, event.model, stored.priced.cost.total, event_address(event.id))
    return Landed(since_us)


ROUTES = (start_page, make_first_key, first_event)

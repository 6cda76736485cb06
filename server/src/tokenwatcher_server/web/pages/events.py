"""`/events`: every stored event, newest first, under the filters of the address."""

import asyncio

import msgspec
from litestar import Response, get

from tokenwatcher_server.events.query import EventFilter
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.overview import known_models_question, palette_of
from tokenwatcher_server.usage.palette import ModelKey
from tokenwatcher_server.usage.report import only, report
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.sentence import lede
from tokenwatcher_server.usage.stats import question
from tokenwatcher_server.web.api.events import EventsRequest, encode_cursor, parse_events_request
from tokenwatcher_server.web.pages.answer import answer_page, moment_of, unchanged
from tokenwatcher_server.web.pages.controls import Controls, controls, scope_pickers
from tokenwatcher_server.web.pages.event_rows import EventRow, event_row
from tokenwatcher_server.web.pages.links import EVENTS, Pairs, address, kept
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

SEARCHED = ("model", "provider", "userId", "sessionId", "status")
"""What the form of the page filters by; chips and links filter by anything."""


class EventsPage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    rows: tuple[EventRow, ...]
    search: dict[str, str]
    search_kept: Pairs
    older: str | None
    newest: str | None
    """The first page; None where it is shown, which is then kept up to date."""


@get(EVENTS, include_in_schema=False)
async def events_page(request: AnyRequest) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    asked = parse_events_request(parameters_of(request))
    moment = await moment_of(request, viewer)
    if (same := unchanged(request, moment)) is not None:
        return same
    page = await events_of(services.store, viewer, asked, moment.now_us)
    return answer_page(request, moment, "events.html", viewer, page)


async def events_of(
    store: EventStore, viewer: Viewer, asked: EventsRequest, now_us: int
) -> EventsPage:
    usage = asked.usage
    scope = viewer.scope(usage)
    totals = question(usage, scope, now_us)
    wanted = EventFilter(
        scope=scope,
        period=totals.period,
        filters=usage.filters,
        before=asked.before,
        limit=asked.limit,
    )
    models = known_models_question(scope, now_us)
    answers, found = await asyncio.gather(
        report(store, {"totals": totals, "models": models}), store.events(wanted)
    )
    palette: dict[ModelKey, int] = palette_of(answers["models"])
    older = [("cursor", encode_cursor(found[-1]))] if len(found) == asked.limit else None
    return EventsPage(
        controls=_controls(viewer, usage, totals.period),
        lede=lede(usage, totals.period, only(answers["totals"])),
        rows=tuple(event_row(one, palette, now_us, usage.zone) for one in found),
        search=_searched(usage),
        search_kept=kept(usage, *SEARCHED),
        older=None if older is None else address(EVENTS, usage, older),
        newest=None if asked.before is None else address(EVENTS, usage),
    )


def _controls(viewer: Viewer, usage: UsageRequest, period: Period) -> Controls:
    pickers = scope_pickers(EVENTS, usage, viewer.workspaces, viewer.projects)
    return controls(EVENTS, usage, period, pickers)


def _searched(usage: UsageRequest) -> dict[str, str]:
    """What the form's fields hold: the filter of that name, where it has one value."""
    given: dict[str, list[str]] = {}
    for name, value in kept(usage):
        given.setdefault(name, []).append(value)
    return {name: given[name][0] if len(given.get(name, [])) == 1 else "" for name in SEARCHED}


ROUTES = (events_page,)

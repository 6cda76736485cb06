"""`/`: what was spent, on what, and what is happening now."""

import asyncio

import msgspec
from litestar import Response, get
from msgspec.structs import replace

from tokenwatcher_server.events.query import EventFilter
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import day_of, month_of
from tokenwatcher_server.usage.holds import holds_events
from tokenwatcher_server.usage.overview import Overview, overview
from tokenwatcher_server.usage.parameters import Reader
from tokenwatcher_server.usage.request import LastDays, UsageRequest, parse_with
from tokenwatcher_server.usage.sentence import lede, period_name
from tokenwatcher_server.usage.text import change, day_text, money, share
from tokenwatcher_server.web.pages.answer import answer_page, moment_of, unchanged
from tokenwatcher_server.web.pages.breakdown import ModelRow, TagRow, model_rows, tag_rows
from tokenwatcher_server.web.pages.controls import (
    Controls,
    Picker,
    controls,
    scope_pickers,
    tag_picker,
)
from tokenwatcher_server.web.pages.event_rows import EventRow, event_row
from tokenwatcher_server.web.pages.links import EVENTS, EXPLORE, MODELS, OVERVIEW, address
from tokenwatcher_server.web.pages.rule_rows import RuleRow, budget_rows, budgets_in
from tokenwatcher_server.web.pages.spend_chart import SpendChart, spend_chart
from tokenwatcher_server.web.pages.start import Landed, start_of
from tokenwatcher_server.web.pages.unpriced import UnpricedNote, unpriced_note
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

NEWEST = 10
ASKED_OF_EXPLORE = (("measures", "cost,calls,totalTokens"), ("groupBy", "model"))


class Figures(msgspec.Struct, frozen=True):
    """The line of figures: what the totals alone don't say."""

    is_today: bool
    """True where the period is today, which has a figure of its own anyway."""
    today_change: int | None
    period_change: int | None
    period_name: str
    month_end: str
    month_part: str | None
    """How far the month's spend is on the way to its forecast, of 100; None without one."""
    error_rate: str
    cached: str


class OverviewPage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    pace: str | None
    shown: Overview
    figures: Figures
    chart: SpendChart
    models: tuple[ModelRow, ...]
    tags: tuple[TagRow, ...]
    tag_picker: Picker | None
    """None where no event has a tag yet."""
    every_model: str | None
    """The address that shows the whole table; None where it is shown."""
    every_tag: str | None
    events: tuple[EventRow, ...]
    events_href: str
    explore_href: str
    models_href: str
    unpriced: UnpricedNote | None
    budgets: tuple[RuleRow, ...] = ()
    """Those nearest to their threshold."""


class Shown(msgspec.Struct, frozen=True):
    """Which long tables are shown whole."""

    models: bool
    tags: bool


@get(OVERVIEW, include_in_schema=False)
async def overview_page(request: AnyRequest) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    reader = Reader(parameters_of(request))
    asked = parse_with(reader)
    whole = reader.all("all")
    reader.finish()
    rules = await budgets_in(request, viewer.scope(asked))
    moment = await moment_of(request, viewer, rules)
    if (same := unchanged(request, moment)) is not None:
        return same
    table = Shown("models" in whole, "tags" in whole)
    page = await overview_of(services.store, viewer, asked, moment.now_us, table)
    if not page.shown.colours and not await holds_events(
        services.store, viewer.principal.scope, moment.now_us
    ):
        first_run = replace(start_of(request, viewer, moment), landed=Landed(0), live=True)
        return answer_page(request, moment, "start.html", viewer, first_run)
    page = replace(page, budgets=await budget_rows(request, viewer, rules))
    return answer_page(request, moment, "overview.html", viewer, page)


async def overview_of(
    store: EventStore, viewer: Viewer, asked: UsageRequest, now_us: int, table: Shown
) -> OverviewPage:
    """Everything the page shows."""
    scope = viewer.scope(asked)
    tag_keys = tuple(await store.tag_keys(scope))
    if asked.tag_key is None and tag_keys:
        asked = replace(asked, tag_key=tag_keys[0])
    period = asked.period(now_us)
    newest_wanted = EventFilter(scope=scope, period=period, filters=asked.filters, limit=NEWEST)
    shown, newest = await asyncio.gather(
        overview(store, asked, scope, now_us), store.events(newest_wanted)
    )
    pickers = scope_pickers(OVERVIEW, asked, viewer.workspaces, viewer.projects)
    return OverviewPage(
        controls=controls(OVERVIEW, asked, shown.period, pickers),
        lede=lede(asked, shown.period, shown.totals),
        pace=None if shown.month_forecast is None else money(shown.month_forecast),
        shown=shown,
        figures=_figures(asked, shown, now_us),
        chart=spend_chart(asked, shown.chart, shown.interval, shown.totals),
        models=model_rows(asked, shown, every=table.models),
        tags=tag_rows(asked, shown, every=table.tags),
        tag_picker=tag_picker(OVERVIEW, asked, tag_keys) if asked.tag_key else None,
        every_model=None if table.models else address(OVERVIEW, asked, [("all", "models")]),
        every_tag=None if table.tags else address(OVERVIEW, asked, [("all", "tags")]),
        events=tuple(event_row(one, shown.colours, now_us, asked.zone) for one in newest),
        events_href=address(EVENTS, asked),
        explore_href=address(EXPLORE, asked, ASKED_OF_EXPLORE),
        models_href=address(MODELS, asked),
        unpriced=unpriced_note(asked, shown),
    )


def _figures(asked: UsageRequest, shown: Overview, now_us: int) -> Figures:
    totals = shown.totals
    month = month_of(now_us, asked.zone)
    return Figures(
        is_today=asked.window == LastDays(1),
        today_change=change(shown.today.cost, shown.yesterday_so_far.cost),
        period_change=change(totals.cost, shown.before.cost),
        period_name=period_name(asked, shown.period),
        month_end=day_text(day_of(month.end_us - 1, asked.zone)),
        month_part=_part(shown.month.cost, shown.month_forecast),
        error_rate=share(totals.errors, totals.calls),
        cached=share(totals.cache_read_tokens, totals.input_tokens),
    )


def _part(spent: int | None, forecast: int | None) -> str | None:
    return None if spent is None or not forecast else f"{100 * spent / forecast:.1f}"


ROUTES = (overview_page,)

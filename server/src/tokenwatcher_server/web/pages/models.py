"""`/models`: what each model costs by the list and really, what its cache saves, what has no price."""

import msgspec
from litestar import Response, get

from tokenwatcher_server.events.query import Dimension, Measure
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.rates import RateLine
from tokenwatcher_server.usage.breakdown import Breakdown, breakdown, most_of, per_million
from tokenwatcher_server.usage.request import UsageRequest, parse
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.sentence import lede
from tokenwatcher_server.usage.stats import PROVIDER_AND_MODEL
from tokenwatcher_server.usage.text import change, share
from tokenwatcher_server.web.pages.answer import answer_page, moment_of
from tokenwatcher_server.web.pages.controls import Controls, controls, scope_pickers
from tokenwatcher_server.web.pages.links import EVENTS, EXPLORE, MODELS, where
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

BAR = 84
MILLION = 1_000_000
MEASURES: tuple[Measure, ...] = (
    "cost",
    "calls",
    "errors",
    "unpriced",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_savings",
)


class ListPrice(msgspec.Struct, frozen=True):
    """Picodollars for a million tokens; None where the list names none."""

    input: int | None
    output: int | None
    source: str


class ModelRow(msgspec.Struct, frozen=True):
    name: str
    provider: str
    slot: int
    href: str
    events_href: str
    totals: Totals
    share: str
    bar: str
    change: int | None
    price: ListPrice | None
    per_million: int | None
    cache_hits: str


class ModelsPage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    totals: Totals
    cache_hits: str
    per_million: int | None
    rows: tuple[ModelRow, ...]
    unpriced: tuple[ModelRow, ...]


@get(MODELS, include_in_schema=False)
async def models_page(request: AnyRequest) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    asked = parse(parameters_of(request))
    moment = await moment_of(request, viewer)
    found = await breakdown(
        services.store, asked, viewer.scope(asked), moment.now_us, PROVIDER_AND_MODEL, MEASURES
    )
    page = models_of(viewer, asked, found, services.prices, moment.now_us)
    return answer_page(request, moment, "models.html", viewer, page)


def models_of(
    viewer: Viewer, asked: UsageRequest, found: Breakdown, prices: PriceBook, now_us: int
) -> ModelsPage:
    most = most_of(found.lines)
    rows = tuple(_row(asked, found, line, most, prices, now_us) for line in found.lines)
    pickers = scope_pickers(MODELS, asked, viewer.workspaces, viewer.projects)
    totals = found.totals
    return ModelsPage(
        controls=controls(MODELS, asked, found.period, pickers),
        lede=lede(asked, found.period, totals),
        totals=totals,
        cache_hits=share(totals.cache_read_tokens or None, totals.input_tokens),
        per_million=per_million(totals),
        rows=rows,
        unpriced=tuple(row for row in rows if row.totals.unpriced),
    )


def _row(
    asked: UsageRequest, found: Breakdown, line: Line, most: int, prices: PriceBook, now_us: int
) -> ModelRow:
    provider, model = line.group[0] or "", line.group[1] or ""
    totals, before = line.totals, found.before.get(line.group)
    chosen = ((Dimension("provider"), provider), (Dimension("model"), model))
    return ModelRow(
        name=model,
        provider=provider,
        slot=found.colours.get((provider, model), 0),
        href=f"{where(EXPLORE, asked, *chosen)}&measures=cost,calls,totalTokens&groupBy=userId",
        events_href=where(EVENTS, asked, *chosen),
        totals=totals,
        share=share(totals.cost, found.totals.cost),
        bar=f"{BAR * (totals.cost or 0) / most:.1f}" if most else "0",
        change=change(totals.cost, None if before is None else before.cost),
        price=_list_price(prices.line_at(provider, model, now_us)),
        per_million=per_million(totals),
        cache_hits=share(totals.cache_read_tokens or None, totals.input_tokens),
    )


def _list_price(line: RateLine | None) -> ListPrice | None:
    if line is None:
        return None
    return ListPrice(
        input=_for_a_million(line.rates.input_text),
        output=_for_a_million(line.rates.output_text),
        source=line.source,
    )


def _for_a_million(rate: int | None) -> int | None:
    return None if rate is None else rate * MILLION


ROUTES = (models_page,)

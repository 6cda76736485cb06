"""`/prices`: the operator's own prices, what has none, and pricing again what is stored."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.period import last_days
from tokenwatcher_server.pricing import changes, custom, reprice
from tokenwatcher_server.pricing.custom import PER_MILLION, CustomPrice
from tokenwatcher_server.pricing.reprice import Repriced, UnpricedModel
from tokenwatcher_server.usage.request import MAX_DAYS
from tokenwatcher_server.web.audit import actor_of
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import back_to, fields_of
from tokenwatcher_server.web.pages.links import PRICES
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    viewer_of,
)
from tokenwatcher_server.web.services import Services, services_of

RATES = (
    ("input", "Input"),
    ("output", "Output"),
    ("cache_read", "Cache read"),
    ("cache_write", "Cache write"),
)
"""What the form asks for; the command line knows every kind."""


class Rate(msgspec.Struct, frozen=True):
    """What a million tokens of a kind cost, in picodollars."""

    kind: str
    amount: int


class OwnPrice(msgspec.Struct, frozen=True):
    price: CustomPrice
    rates: tuple[Rate, ...]


class PriceForm(msgspec.Struct, frozen=True):
    """What the form holds: what was sent with it, where that was refused."""

    fields: dict[str, str]
    problem: str | None = None


class PricesPage(msgspec.Struct, frozen=True):
    own: tuple[OwnPrice, ...]
    unpriced: tuple[UnpricedModel, ...]
    rates: tuple[tuple[str, str], ...]
    form: PriceForm
    days: int
    mine: bool
    """Whether the viewer may change prices."""
    repriced: Repriced | None = None


@get(PRICES, include_in_schema=False)
async def prices_page(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    known = request.query_params
    filled = {name: known[name][:300] for name in ("provider", "model") if name in known}
    return await _answer(request, viewer, PriceForm(filled))


@post(PRICES, include_in_schema=False, status_code=200, right="prices.change")
async def set_price(request: AnyRequest) -> Response[Any]:
    """Set a price from today on; the form comes back with what is wrong with it."""
    services, viewer = services_of(request), await viewer_of(request)
    fields = await fields_of(request)
    now_us = services.clock.now_us()
    try:
        price = custom.new_price(
            provider=fields.get("provider", ""),
            model_pattern=fields.get("model", ""),
            valid_from=0 if "always" in fields else now_us - now_us % DAY_US,
            now_us=now_us,
            tokens={kind: fields[kind] for kind, _ in RATES if kind in fields},
            calls={},
            note=fields.get("note", ""),
        )
    except AppError as error:
        return await _answer(request, viewer, PriceForm(fields, error.message))
    async with services.database.transaction() as connection:
        await changes.set_price(connection, actor_of(request, viewer.principal), price)
    await services.prices.refresh()
    return back_to(PRICES)


@post(f"{PRICES}/{{price_id:str}}/remove", include_in_schema=False, right="prices.change")
async def remove_price(request: AnyRequest, price_id: FromPath[str]) -> Response[Any]:
    services, viewer = services_of(request), await viewer_of(request)
    async with services.database.transaction() as connection:
        actor, now_us = actor_of(request, viewer.principal), services.clock.now_us()
        await changes.remove_price(connection, actor, price_id, now_us)
    await services.prices.refresh()
    return back_to(PRICES)


@post(f"{PRICES}/apply", include_in_schema=False, status_code=200, right="prices.change")
async def apply_prices(request: AnyRequest) -> Response[str]:
    """Price what is stored and has no cost: first as a dry run, then, on a second click, for good."""
    services, viewer = services_of(request), await viewer_of(request)
    for_good = (await fields_of(request)).get("for") == "good"
    await services.prices.refresh()
    done = await reprice.apply(
        services.store,
        services.prices,
        services.database,
        viewer.principal.scope,
        last_days(MAX_DAYS, services.clock.now_us()),
        dry_run=not for_good,
    )
    if for_good:
        async with services.database.transaction() as connection:
            actor, now_us = actor_of(request, viewer.principal), services.clock.now_us()
            await changes.note_repriced(connection, actor, done, now_us)
    return await _answer(request, viewer, PriceForm({}), done)


async def _answer(
    request: AnyRequest, viewer: Viewer, form: PriceForm, repriced: Repriced | None = None
) -> Response[str]:
    services = services_of(request)
    now_us = services.clock.now_us()
    page = PricesPage(
        own=await _own_prices(services),
        unpriced=await reprice.unpriced(
            services.store, viewer.principal.scope, last_days(MAX_DAYS, now_us)
        ),
        rates=RATES,
        form=form,
        days=MAX_DAYS,
        mine=viewer.principal.may("prices.change"),
        repriced=repriced,
    )
    return answer_page(request, Moment(now_us, None), "prices.html", viewer, page)


async def _own_prices(services: Services) -> tuple[OwnPrice, ...]:
    async with services.database.reading() as connection:
        found = await custom.list_prices(connection)
    return tuple(
        OwnPrice(
            price,
            tuple(
                Rate(kind.replace("_", " "), rate * PER_MILLION)
                for kind, rate in price.tokens.items()
            ),
        )
        for price in found
    )


ROUTES = (prices_page, set_price, apply_prices, remove_price)

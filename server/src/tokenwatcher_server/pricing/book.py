"""The price book: which rate line prices an event, looked up once for each way of naming it.

What a client sends (provider, model, tier) is looked up by rule once and compiled to a pricer;
from then on an event costs one dictionary lookup and a few multiplications. Both caches are
keyed by what senders control, so both are bounded, and names without a price have their own:
a flood of made-up names can't push the real ones out.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import custom_prices
from tokenwatcher_server.events.event import Cost, Event
from tokenwatcher_server.kernel.clock import Clock, SystemClock
from tokenwatcher_server.pricing import custom, lines
from tokenwatcher_server.pricing.catalog import Catalog
from tokenwatcher_server.pricing.custom import CustomPrice
from tokenwatcher_server.pricing.match import (
    Match,
    canonical_provider,
    find,
    is_fine_tune,
    spellings,
)
from tokenwatcher_server.pricing.price import Pricer, pricer, unpriced
from tokenwatcher_server.pricing.rates import STANDARD, RateLine, within_day
from tokenwatcher_server.pricing.tiers import canonical_tier, no_price_in

MOST_NAMES: Final = 8192
EARLIEST: Final = -(2**63)
LATEST: Final = 2**63
Key = tuple[str, str, str | None]
Matched = tuple[RateLine, str]


class PriceBook:
    """Prices events by the operator's own prices, then by the catalogue."""

    def __init__(self, catalog: Catalog | None = None, own: Sequence[CustomPrice] = ()) -> None:
        self._catalog = catalog or Catalog()
        self._own = tuple(own)
        self._own_version: tuple[int, int] | None = None
        self._pricers: dict[Key, Pricer] = {}
        self._without: dict[Key, Pricer] = {}
        self._lines: dict[str, RateLine] = {}
        self._saved: set[str] = set()
        self._unsaved: dict[str, RateLine] = {}
        self._saving = asyncio.Lock()
        self._database: Database | None = None
        self._clock: Clock = SystemClock()

    def price_batch(self, events: Sequence[Event]) -> list[Cost]:
        """The cost of each event, in order, at the price that held when it occurred.

        Never refuses: an event without a price has a cost without a total, and the reason.
        """
        pricers = self._pricers
        costs = []
        for event in events:
            key = (event.provider, event.model, event.service_tier)
            cost_of = pricers.get(key) or self._without.get(key) or self._look_up(key)
            costs.append(cost_of(event))
        return costs

    def line(self, line_id: str) -> RateLine | None:
        """A rate line this book has used; `find_line` also knows those of earlier days."""
        return self._lines.get(line_id)

    def line_at(self, provider: str, model: str, instant_us: int) -> RateLine | None:
        """The rate line that prices a standard call of a model at that instant, if any does."""
        match = find(self._catalog, provider, model)
        matched = [
            *self._own_lines(provider, model, STANDARD),
            *self._listed_lines(match, STANDARD),
        ]
        return next((line for line, _ in matched if line.holds_at(instant_us)), None)

    def unsaved_lines(self) -> tuple[RateLine, ...]:
        """Lines that may have priced an event and are not yet kept in the control database."""
        return tuple(self._unsaved.values())

    async def load(self, database: Database, clock: Clock) -> None:
        """Read the operator's prices and which lines are already kept; call it once, first."""
        self._database, self._clock = database, clock
        async with database.reading() as connection:
            self._saved = await lines.saved_ids(connection)
            await self._read_own(connection)

    async def refresh(self) -> None:
        """Take up what another process set or removed; one small query where nothing changed."""
        if self._database is None:
            return
        async with self._database.reading() as connection:
            if await _version(connection) != self._own_version:
                await self._read_own(connection)

    async def save_lines(self, database: Database) -> None:
        """Keep the new lines for ever; durable on return, so call it before storing the events."""
        if not self._unsaved:
            return
        new = self.unsaved_lines()
        async with database.transaction() as connection:
            await lines.save(connection, new, self._clock.now_us())
        for line in new:
            self._saved.add(line.id)
            self._unsaved.pop(line.id, None)

    async def keep_new_lines(self) -> None:
        """`save_lines` into the database the book was loaded from."""
        if self._unsaved and self._database is not None:
            async with self._saving:  # whoever waited here finds that it is done
                await self.save_lines(self._database)

    async def find_line(self, line_id: str) -> RateLine | None:
        """Any line that ever priced an event, also one of an older catalogue."""
        if line_id in self._lines or self._database is None:
            return self._lines.get(line_id)
        async with self._database.reading() as connection:
            return await lines.find(connection, line_id)

    async def _read_own(self, connection: AsyncConnection) -> None:
        self._own_version = await _version(connection)
        self._own = await custom.list_prices(connection)
        self._pricers.clear()
        self._without.clear()

    def _look_up(self, key: Key) -> Pricer:
        provider, model, said_tier = key
        tier = canonical_tier(said_tier)
        match = find(self._catalog, provider, model)
        matched = [*self._own_lines(provider, model, tier), *self._listed_lines(match, tier)]
        for line, _ in matched:
            self._lines[line.id] = line
            if line.id not in self._saved:
                self._unsaved[line.id] = line
        cache = self._pricers if matched else self._without
        if len(cache) >= MOST_NAMES:
            cache.clear()
        reason = self._why_unpriced(provider, model, match, tier)
        cost_of = cache[key] = _by_date(matched, unpriced(reason))
        return cost_of

    def _own_lines(self, provider: str, model: str, tier: str) -> list[Matched]:
        names = tuple(spellings(provider, model)) if self._own else ()
        return [
            (custom.rate_line(price), f"custom price for {price.provider}/{price.model_pattern}")
            for price in custom.applicable(self._own, names, provider, tier)
        ]

    def _listed_lines(self, match: Match | None, tier: str) -> list[Matched]:
        if match is None or (match.borrowed and tier != STANDARD):
            return []
        listed = self._catalog.rate_lines(match.provider, match.model, tier)
        return [(line, match.text) for line in listed]

    def _why_unpriced(self, provider: str, model: str, match: Match | None, tier: str) -> str:
        if match is None:
            if canonical_provider(provider) not in self._catalog.providers:
                return f"no prices are known for the provider '{provider}'"
            if is_fine_tune(model):
                return "a fine-tuned model has a price of its own, and none is known for this one"
            return "no price is known for this model"
        if all(price.is_empty for price in match.model.prices):
            return f"no list price: {match.provider}/{match.model.model} is listed without one"
        if tier != STANDARD:
            return no_price_in(tier)
        return "no price is known for that time"


async def _version(connection: AsyncConnection) -> tuple[int, int]:
    """Changes whenever a price is set or removed, because rows are only added and marked."""
    counts = select(func.count(), func.count(custom_prices.c.removed_at)).select_from(custom_prices)
    total, removed = (await connection.execute(counts)).one()
    return total, removed


def _by_date(matched: Sequence[Matched], otherwise: Pricer) -> Pricer:
    """A pricer that takes the first line holding at the event's own time."""
    if not matched:
        return otherwise
    first, match = matched[0]
    if first.valid_from is None and first.valid_to is None and first.daily is None:
        return pricer(first, match)
    choices = [
        (
            EARLIEST if line.valid_from is None else line.valid_from,
            LATEST if line.valid_to is None else line.valid_to,
            line.daily,
            pricer(line, match),
        )
        for line, match in matched
    ]

    def cost_of(event: Event) -> Cost:
        instant = event.occurred_at
        for start, end, daily, at_line in choices:
            if start <= instant < end and (daily is None or within_day(instant, *daily)):
                return at_line(event)
        return otherwise(event)

    return cost_of

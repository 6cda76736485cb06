"""Prices events again: those without a cost, or on an explicit word those that have one too.

Nothing here happens by itself. A new cost is stored beside the old one, and the report says per
model what changed; its totals are those of the events themselves, before and after.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from tokenwatcher_server.control.database import Database
from tokenwatcher_server.events.event import Cost
from tokenwatcher_server.events.query import Dimension, EventFilter, Filter, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore, Repricing, StoredEvent
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.pricing.book import PriceBook

PAGE: Final = 500
MOST_REASONS: Final = 100
_WITHOUT_PRICE: Final = Filter(Dimension("price_id"), (None,))
_USAGE: Final = Filter(Dimension("event_type"), ("usage",))


class UnpricedModel(msgspec.Struct, frozen=True, rename="camel"):
    """Events of one model that have no cost. Days are the UTC midnights they begin at."""

    provider: str
    model: str
    events: int
    first_day: int
    last_day: int
    reason: str | None = None


class ModelChange(msgspec.Struct, rename="camel"):
    """What pricing a model's events again did; amounts are picodollars."""

    provider: str
    model: str
    events: int = 0
    """Events whose cost changed."""
    before: int = 0
    after: int = 0
    priced: int = 0
    """Of those, how many had no cost before."""
    unpriced: int = 0
    """Events that still have no cost."""


class Repriced(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of it. `stored` is how many new costs the store took; none in a dry run."""

    dry_run: bool
    examined: int
    changed: int
    stored: int
    before: int
    after: int
    models: tuple[ModelChange, ...]


async def unpriced(store: EventStore, scope: Scope, period: Period) -> tuple[UnpricedModel, ...]:
    """The models whose events have no cost, most events first."""
    query = UsageQuery(
        scope=scope,
        period=period,
        measures=("unpriced",),
        group_by=(Dimension("provider"), Dimension("model")),
        filters=(_WITHOUT_PRICE,),
        interval="day",
    )
    [rows] = await store.usage([query])
    counts: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in rows:
        provider, model = row.group
        if row.values[0]:
            days = counts.setdefault((provider or "", model or ""), [])
            days.append((row.bucket_us or 0, int(row.values[0])))
    models = [
        UnpricedModel(provider, model, sum(n for _, n in days), min(days)[0], max(days)[0])
        for (provider, model), days in counts.items()
    ]
    models.sort(key=lambda found: (-found.events, found.provider, found.model))
    return tuple(
        [await _with_reason(store, scope, period, found) for found in models[:MOST_REASONS]]
        + models[MOST_REASONS:]
    )


async def apply(
    store: EventStore,
    book: PriceBook,
    database: Database,
    scope: Scope,
    period: Period,
    *,
    dry_run: bool,
    include_priced: bool = False,
) -> Repriced:
    """Price the events of a period that have no cost yet; with `include_priced`, all of them.

    Every event gets the price that holds at its own time, as the book has it now. A dry run
    reports the same and stores nothing.
    """
    changes: dict[tuple[str, str], ModelChange] = {}
    examined = stored = 0
    async for page in _pages(store, scope, period, () if include_priced else (_WITHOUT_PRICE,)):
        chosen = [e for e in page if include_priced or e.priced.cost.total is None]
        costs = book.price_batch([event.priced.event for event in chosen])
        examined += len(chosen)
        wanted = [
            Repricing(found.priced.event.workspace_id, found.priced.event.id, cost)
            for found, cost in zip(chosen, costs, strict=True)
            if _tally(changes, found, cost)
        ]
        if wanted and not dry_run:
            await book.save_lines(database)
            stored += await store.reprice(wanted)
    models = sorted(changes.values(), key=lambda c: (-abs(c.after - c.before), c.provider, c.model))
    return Repriced(
        dry_run=dry_run,
        examined=examined,
        changed=sum(model.events for model in models),
        stored=stored,
        before=sum(model.before for model in models),
        after=sum(model.after for model in models),
        models=tuple(models),
    )


def _tally(changes: dict[tuple[str, str], ModelChange], found: StoredEvent, cost: Cost) -> bool:
    """Count an event in its model's change; True where its cost is a new one."""
    event, old = found.priced.event, found.priced.cost
    change = changes.setdefault(
        (event.provider, event.model), ModelChange(event.provider, event.model)
    )
    if cost.total is None:
        # a price that was taken away doesn't take the cost of what it priced
        change.unpriced += old.total is None
        return False
    if (cost.total, cost.buckets, cost.fees, cost.price_id) == (
        old.total, old.buckets, old.fees, old.price_id,
    ):  # fmt: skip
        return False
    change.events += 1
    change.priced += old.total is None
    change.before += old.total or 0
    change.after += cost.total
    return True


async def _pages(
    store: EventStore, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> AsyncIterator[Sequence[StoredEvent]]:
    """Every event once, newest first, by workspace: ids are only unique within one."""
    for workspace in scope.workspaces:
        before = None
        while True:
            page = await store.events(
                EventFilter(
                    scope=Scope((workspace,), scope.projects),
                    period=period,
                    filters=filters,
                    before=before,
                    limit=PAGE,
                )
            )
            yield page
            if len(page) < PAGE:
                break
            last = page[-1].priced.event
            before = (last.occurred_at, last.id)


async def _with_reason(
    store: EventStore, scope: Scope, period: Period, found: UnpricedModel
) -> UnpricedModel:
    newest = await store.events(
        EventFilter(
            scope=scope,
            period=Period(max(found.last_day, period.start_us), period.end_us),
            filters=(
                _WITHOUT_PRICE,
                _USAGE,
                Filter(Dimension("provider"), (found.provider,)),
                Filter(Dimension("model"), (found.model,)),
            ),
            limit=20,
        )
    )
    costs = (event.priced.cost for event in newest)
    reason = next((cost.unpriced_reason for cost in costs if cost.total is None), None)
    return msgspec.structs.replace(found, reason=reason)

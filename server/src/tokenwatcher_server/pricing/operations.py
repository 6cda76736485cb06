"""What the command line asks of the price book and the events, in this process or a server's."""

import msgspec
from sqlalchemy import select

from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import workspaces
from tokenwatcher_server.events.event import Cost, Event
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.pricing import reprice
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.price import CostLine, explain
from tokenwatcher_server.pricing.rates import RateLine
from tokenwatcher_server.pricing.reprice import Repriced, UnpricedModel


class ExplainArguments(msgspec.Struct, frozen=True):
    event_id: str


class UnpricedArguments(msgspec.Struct, frozen=True):
    """A workspace's slug, or None for all."""

    period: Period
    workspace: str | None = None


class ApplyArguments(msgspec.Struct, frozen=True):
    period: Period
    dry_run: bool
    include_priced: bool = False
    workspace: str | None = None


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """How a cost came about. The lines sum to the cost's total, where it was worked out."""

    provider: str
    model: str
    occurred_at: int
    service_tier: str | None
    cost: Cost
    lines: tuple[CostLine, ...] = ()
    rate_line: RateLine | None = None
    event_id: str | None = None


class Unpriced(msgspec.Struct, frozen=True, rename="camel"):
    models: tuple[UnpricedModel, ...]


async def explanation(event: Event, cost: Cost, book: PriceBook) -> Explanation:
    """Explain a cost by the rate line that made it, however old."""
    line = None if cost.price_id is None else await book.find_line(cost.price_id)
    return Explanation(
        provider=event.provider,
        model=event.model,
        occurred_at=event.occurred_at,
        service_tier=event.service_tier,
        cost=cost,
        lines=() if line is None else explain(event, line),
        rate_line=line,
        event_id=event.id,
    )


async def explain_event(
    store: EventStore, book: PriceBook, database: Database, arguments: ExplainArguments
) -> Explanation:
    """Raises AppError where no workspace has such an event."""
    scope = await scope_called(database, None)
    found = await store.event(scope, arguments.event_id)
    if found is None:
        raise not_found(f"There is no event with the id {arguments.event_id}.")
    return await explanation(found.priced.event, found.priced.cost, book)


async def list_unpriced(
    store: EventStore, database: Database, arguments: UnpricedArguments
) -> Unpriced:
    scope = await scope_called(database, arguments.workspace)
    return Unpriced(await reprice.unpriced(store, scope, arguments.period))


async def apply_prices(
    store: EventStore, book: PriceBook, database: Database, arguments: ApplyArguments
) -> Repriced:
    await book.refresh()
    return await reprice.apply(
        store,
        book,
        database,
        await scope_called(database, arguments.workspace),
        arguments.period,
        dry_run=arguments.dry_run,
        include_priced=arguments.include_priced,
    )


async def scope_called(database: Database, workspace: str | None) -> Scope:
    """All workspaces, or one by its slug: the operator of the machine may see them all."""
    query = select(workspaces.c.id).order_by(workspaces.c.id)
    if workspace is not None:
        query = query.where(workspaces.c.slug == workspace)
    async with database.reading() as connection:
        found = tuple(WorkspaceId(found) for found in (await connection.execute(query)).scalars())
    if workspace is not None and not found:
        raise not_found(f"There is no workspace '{workspace}'.")
    return Scope(found)

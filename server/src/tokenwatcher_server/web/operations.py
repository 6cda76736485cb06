"""What the command line may ask of a running server; each is an async function by name.

The same functions run inside the command itself where no server runs on the data folder.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from tokenwatcher_server.access.checkup import Checkup
from tokenwatcher_server.access.checkup_facts import check_up
from tokenwatcher_server.control.audit import Actor
from tokenwatcher_server.events.store import StoreUnavailable, Verification
from tokenwatcher_server.kernel.errors import unavailable
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.pricing import operations as pricing
from tokenwatcher_server.pricing.changes import note_repriced
from tokenwatcher_server.pricing.reprice import Repriced
from tokenwatcher_server.retention.person import EraseArguments, PersonErased
from tokenwatcher_server.retention.upkeep import Removed
from tokenwatcher_server.web.services import Services

COMMAND_LINE: Final = Actor("command", "command line")


class Operation(msgspec.Struct, frozen=True):
    """`run(services, arguments)`; arguments and result are Structs of these types."""

    run: Callable[[Services, Any], Awaitable[Any]]
    arguments: type[msgspec.Struct]
    result: type[msgspec.Struct]


async def _explain(services: Services, arguments: pricing.ExplainArguments) -> Any:
    return await pricing.explain_event(
        services.store, services.prices, services.database, arguments
    )


async def _unpriced(services: Services, arguments: pricing.UnpricedArguments) -> Any:
    return await pricing.list_unpriced(services.store, services.database, arguments)


async def _apply(services: Services, arguments: pricing.ApplyArguments) -> Any:
    done = await pricing.apply_prices(services.store, services.prices, services.database, arguments)
    if not arguments.dry_run:
        async with services.database.transaction() as connection:
            await note_repriced(connection, COMMAND_LINE, done, services.clock.now_us())
    return done


class RebuildArguments(msgspec.Struct, frozen=True):
    """Whose sums, and of when."""

    period: Period
    workspace: str | None = None
    """A slug; None for all."""


class RebuiltTotals(msgspec.Struct, frozen=True, rename="camel"):
    """How many events were summed anew; 0 where the store does that only as a whole."""

    events: int


async def rebuild_totals(services: Services, arguments: RebuildArguments) -> RebuiltTotals:
    """Make the hourly sums anew from the events. Raises AppError for no such workspace."""
    scope = await pricing.scope_called(services.database, arguments.workspace)
    only = None if arguments.workspace is None else scope.workspaces
    return RebuiltTotals(await services.store.rebuild_totals(arguments.period, only))


class VerifyArguments(msgspec.Struct, frozen=True):
    """There is nothing to choose: everything is checked."""


async def _verify(services: Services, _: VerifyArguments) -> Verification:
    return await services.store.verify()


async def _erase(services: Services, arguments: EraseArguments) -> PersonErased:
    with _said_to_the_caller():
        return await services.people.erase(COMMAND_LINE, arguments)


class ApplyRetentionArguments(msgspec.Struct, frozen=True):
    """There is nothing to choose: every workspace's own setting holds."""


class RetentionApplied(msgspec.Struct, frozen=True):
    removed: list[Removed]


async def _apply_retention(services: Services, _: ApplyRetentionArguments) -> RetentionApplied:
    with _said_to_the_caller():
        return RetentionApplied(await services.retention.apply(COMMAND_LINE))


@contextmanager
def _said_to_the_caller() -> Iterator[None]:
    """Who runs a command on this machine may know why the store refuses."""
    try:
        yield
    except StoreUnavailable as error:
        raise unavailable(f"The store can't erase this now: {error}.") from None


class CheckupArguments(msgspec.Struct, frozen=True):
    """There is nothing to choose: every point is looked at."""


async def check_up_server(services: Services) -> Checkup:
    """The security check-up of this server."""
    reported = sum(one.times for one in services.violations.seen())
    return await check_up(
        services.settings, services.database, services.clock.now_us(), violations=reported
    )


async def _checkup(services: Services, _: CheckupArguments) -> Checkup:
    return await check_up_server(services)


OPERATIONS: Final = {
    "checkup": Operation(_checkup, CheckupArguments, Checkup),
    "totals.rebuild": Operation(rebuild_totals, RebuildArguments, RebuiltTotals),
    "store.verify": Operation(_verify, VerifyArguments, Verification),
    "people.erase": Operation(_erase, EraseArguments, PersonErased),
    "retention.apply": Operation(_apply_retention, ApplyRetentionArguments, RetentionApplied),
    "prices.explain": Operation(_explain, pricing.ExplainArguments, pricing.Explanation),
    "prices.unpriced": Operation(_unpriced, pricing.UnpricedArguments, pricing.Unpriced),
    "prices.apply": Operation(_apply, pricing.ApplyArguments, Repriced),
}

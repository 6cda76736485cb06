"""Wires everything, in the order it starts; the only module that names a concrete part."""

import asyncio
import secrets as random_secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from tokenwatcher_server.access.keys import KeyVerifier
from tokenwatcher_server.access.projects import ProjectDirectory
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.ingest.commit import Committer
from tokenwatcher_server.ingest.pipeline import Ingest
from tokenwatcher_server.ingest.scope import Policy
from tokenwatcher_server.kernel.clock import Clock, SystemClock
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.observability.metrics import Metrics
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.web.application import build_application
from tokenwatcher_server.web.middleware.envelope import Application
from tokenwatcher_server.web.services import Services

REFRESH_SECONDS = 1.0


class App(msgspec.Struct, frozen=True):
    services: Services
    asgi: Application


@asynccontextmanager
async def running_app(settings: Settings, clock: Clock | None = None) -> AsyncIterator[App]:
    """Open everything, give the application, and close it in the opposite order.

    Raises SettingsError or StoreRefused with a message for the operator.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(control_url(settings))
        stack.push_async_callback(database.close)
        await migrate(database)
        store = await open_store(settings.events_url, settings.data_dir, clock)
        stack.push_async_callback(store.close)
        prices = await PriceBook.load(database, clock)
        metrics = Metrics()
        committer = Committer(store)
        committer.start()
        stack.push_async_callback(committer.close)
        services = Services(
            settings=settings,
            clock=clock,
            database=database,
            store=store,
            prices=prices,
            committer=committer,
            metrics=metrics,
            keys=KeyVerifier(database, clock),
            projects=ProjectDirectory(database, clock),
            local_token=random_secrets.token_urlsafe(32),
        )
        upkeep = asyncio.create_task(_upkeep(services), name="upkeep")
        stack.callback(upkeep.cancel)
        yield App(services, build_application(services, _ingest(services)))


def _ingest(services: Services) -> Ingest:
    settings = services.settings
    return Ingest(
        clock=services.clock,
        projects=services.projects,
        prices=services.prices,
        committer=services.committer,
        metrics=services.metrics,
        policy=Policy(
            store_prompts=settings.store_prompts,
            allow_cost_override=settings.allow_ingest_cost_override,
        ),
        most_events=settings.ingest_max_batch_size,
    )


async def _upkeep(services: Services) -> None:
    """Once a second, see what other processes changed in the control data."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await services.prices.refresh()
            await services.keys.refresh()
        except Exception:  # noqa: BLE001 - the next second tries again
            logger().exception("upkeep failed; it is tried again")

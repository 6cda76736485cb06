"""Wires everything, in the order it starts; the only module that names a concrete part."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from tokenwatcher_server.access.first_start import Welcome, first_start
from tokenwatcher_server.access.keys import Key
from tokenwatcher_server.access.login import Login
from tokenwatcher_server.access.mail_settings import mail_server_of
from tokenwatcher_server.access.oidc_provider import Client, Provider
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.posture import refuse_to_start
from tokenwatcher_server.access.projects import ProjectDirectory
from tokenwatcher_server.access.rate_limits import RateLimits
from tokenwatcher_server.access.secrets import session_secret
from tokenwatcher_server.access.verifier import KeyVerifier
from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace, list_workspaces
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.forgetting import forget_person
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.slack_setting import keep_slack_setting
from tokenwatcher_server.alerts.watch import Watch
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.ingest.commit import Committer
from tokenwatcher_server.ingest.pipeline import Ingest
from tokenwatcher_server.ingest.scope import Policy
from tokenwatcher_server.kernel.clock import Clock, SystemClock
from tokenwatcher_server.kernel.errors import InstanceRefused
from tokenwatcher_server.kernel.ids import KeyId
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.observability.metrics import Metrics
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail
from tokenwatcher_server.outbound.policy import Policy as OutboundPolicy
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.retention.person import People
from tokenwatcher_server.retention.upkeep import Retention
from tokenwatcher_server.settings import Settings, own_names
from tokenwatcher_server.stores import Progress, open_store
from tokenwatcher_server.stores.parquet import parquet
from tokenwatcher_server.web.application import build_application
from tokenwatcher_server.web.csp_reports import Violations
from tokenwatcher_server.web.middleware.envelope import Application
from tokenwatcher_server.web.services import Services

REFRESH_SECONDS = 0.5
"""Half of the second within which a key revoked elsewhere is refused here."""


class App(msgspec.Struct, frozen=True):
    services: Services
    asgi: Application
    welcome: Welcome | None
    """What the first start made, to be shown once."""


@asynccontextmanager
async def running_app(
    settings: Settings, clock: Clock | None = None, rebuilding: Progress | None = None
) -> AsyncIterator[App]:
    """Open everything, give the application, and close it in the opposite order.

    `rebuilding` hears how far a store is that makes what is derived anew first.
    Raises SettingsError or StoreRefused with a message for the operator.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        refuse_to_start(settings)
        _make_data_dir(settings.data_dir)
        database = Database(control_url(settings.database_url, settings.data_dir))
        stack.push_async_callback(database.close)
        await migrate(database, thorough=True)
        store = await open_store(
            settings.events_url,
            settings.data_dir,
            clock,
            rebuilding,
            settings.query_timeout_ms / 1000,
        )
        stack.push_async_callback(store.close)
        await _refuse_lost_control_data(database, store)
        prices = PriceBook()
        await prices.load(database, clock)
        metrics = Metrics()
        committer = Committer(store)
        committer.start()
        stack.push_async_callback(committer.close)
        passwords = Passwords()
        keys = KeyVerifier(database, clock)
        stack.push_async_callback(keys.close)
        fanout = None
        if settings.redis_url is not None:
            # imported here, as most servers do without
            from tokenwatcher_server.access.fanout import Fanout

            fanout = Fanout(settings.redis_url, keys.hear)
            stack.push_async_callback(fanout.close)
            keys.tell = fanout.tell
        limits = RateLimits(clock, settings.redis_url)
        stack.push_async_callback(limits.close)
        await limits.open()
        secret = session_secret(settings.dashboard_session_secret, settings.data_dir)
        policy = _outbound_policy(settings)
        timeout_seconds = settings.alert_webhook_timeout_ms / 1000
        gate, seal = Gate(policy, timeout_seconds=timeout_seconds), Seal(secret)
        mail_server = mail_server_of(settings)
        mail = None
        if mail_server is not None:
            mail = Mail(policy, mail_server, timeout_seconds=timeout_seconds)
        page = None if settings.public_url is None else f"{settings.public_url}/alerts"
        deliveries = Deliveries(database, clock, gate, mail, seal, page)
        cooldown_seconds = settings.alert_cooldown_minutes * 60
        watch = Watch(database, store, clock, deliveries, cooldown_seconds)
        retention = Retention(database, store, clock)
        services = Services(
            settings=settings,
            clock=clock,
            database=database,
            store=store,
            prices=prices,
            committer=committer,
            metrics=metrics,
            keys=keys,
            projects=ProjectDirectory(database, clock),
            passwords=passwords,
            login=Login(database, passwords, clock),
            oidc=_oidc(settings, clock),
            csrf_secret=settings.csrf_secret.encode() if settings.csrf_secret else secret,
            limits=limits,
            violations=Violations(metrics, clock, limits, settings.trusted_proxies),
            gate=gate,
            seal=seal,
            watch=watch,
            deliveries=deliveries,
            retention=retention,
            people=People(database, store, clock, forget_person, secret),
            parquet=parquet,
            local_token=secrets.token_urlsafe(32),
        )
        for name, work in (
            ("upkeep", _upkeep(services)),
            ("watch", watch.run()),
            ("deliveries", deliveries.run()),
            ("retention", retention.run()),
            *((("fanout", fanout.run()),) if fanout is not None else ()),
        ):
            task = asyncio.create_task(work, name=name)
            stack.push_async_callback(_stopped, task)
        welcome = await first_start(
            database,
            passwords,
            username=settings.dashboard_username,
            password=settings.dashboard_password,
            now_us=clock.now_us(),
            insecure=settings.insecure,
        )
        await keep_slack_setting(database, seal, settings.slack_webhook_url, clock.now_us())
        await _accept_fallback(services)
        yield App(services, build_application(services, _ingest(services)), welcome)


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _outbound_policy(settings: Settings) -> OutboundPolicy:
    """Where the operator's settings let what leaves this server go."""
    return OutboundPolicy(
        plain_http=settings.environment == "development",
        allowed_names=frozenset(settings.webhook_allowed_hosts),
        allowed_networks=settings.webhook_allowed_cidrs,
        allowed_ports=frozenset(settings.webhook_allowed_ports),
        own_names=frozenset(own_names(settings)),
    )


def _oidc(settings: Settings, clock: Clock) -> Provider | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    client = Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        groups_claim=settings.oidc_groups_claim,
    )
    return Provider(client, clock)


def _make_data_dir(data_dir: Path) -> None:
    """Raises InstanceRefused where the folder can't be made, or nothing can be made in it."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InstanceRefused(
            f"The data folder {data_dir} can't be made ({error.strerror}); name another one with "
            "--data-dir or TOKENWATCHER_DATA_DIR."
        ) from None
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise InstanceRefused(
            f"The data folder {data_dir} can't be written; name another one with --data-dir or "
            "TOKENWATCHER_DATA_DIR, or give this one to the user that runs the server."
        )


async def _refuse_lost_control_data(database: Database, store: EventStore) -> None:
    """Raises InstanceRefused where a first start would hide events that are stored already."""
    async with database.reading() as connection:
        if await list_workspaces(connection):
            return
    if events := (await store.statistics())["events"]:
        raise InstanceRefused(
            f"Events are stored here ({events:,} of them), but the control data that they belong "
            "to is empty: control.db, or the control.db-wal beside it, was lost, or DATABASE_URL names "
            "another database. Put both back from where they went or from a backup; a new "
            "instance needs a folder of its own."
        )


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
        touched=services.watch.touched,
    )


async def _accept_fallback(services: Services) -> None:
    raw = services.settings.fallback_key
    async with services.database.reading() as connection:
        workspace = await find_workspace(connection, DEFAULT)
    if raw is not None and workspace is not None:
        services.keys.accept_fallback(raw, Key(KeyId("environment"), workspace.id, None, "live"))


async def _upkeep(services: Services) -> None:
    """Twice a second, see what other processes changed in the control data."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await services.prices.refresh()
            await services.keys.refresh()
        except Exception:  # noqa: BLE001 - the next round tries again
            logger().exception("upkeep failed; it is tried again")

"""`tokenwatcher demo`: a made-up company's ninety days and its live traffic, ready to look at."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tokenwatcher_server.access.keys import create_key, revoke_key
from tokenwatcher_server.access.links import make_link
from tokenwatcher_server.access.users import list_users
from tokenwatcher_server.app import App
from tokenwatcher_server.cli.instance import settings_of
from tokenwatcher_server.cli.serve import start
from tokenwatcher_server.demo.company import COMPANY
from tokenwatcher_server.demo.founding import Company, found_budgets, found_company
from tokenwatcher_server.demo.history import DAYS, Plan
from tokenwatcher_server.demo.load import load_history
from tokenwatcher_server.demo.state import DemoState, read_state, write_state
from tokenwatcher_server.web.services import Services

EVENTS = 1_000_000
TRAFFIC_STOP_SECONDS = 3.5
"""How long live traffic may take to send what it has; Ctrl-C ends everything within five."""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="The port; where it is taken, the next free one is used.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the instance in this folder, and go on with it the next time.",
)
@click.option(
    "--events",
    type=click.IntRange(0, 100_000_000),
    default=EVENTS,
    show_default=True,
    help="How many events of history to load.",
)
@click.option("--no-traffic", is_flag=True, help="Load history only; nothing moves afterwards.")
def demo(port: int, data_dir: Path | None, events: int, *, no_traffic: bool) -> None:
    """See it work: a made-up company's history and live traffic, on a throw-away instance."""
    with ExitStack() as stack:
        if data_dir is None:
            data_dir = Path(stack.enter_context(TemporaryDirectory(prefix="tokenwatcher-demo-")))

        async def show(app: App, url: str) -> None:
            await _demonstrate(app.services, url, events, traffic=not no_traffic)

        settings = settings_of(data_dir, port=port)
        start(settings, show, next_free_port=True)


async def _demonstrate(services: Services, url: str, events: int, *, traffic: bool) -> None:
    """Load the history, start the traffic, say where to look; runs until it is cancelled."""
    company = await found_company(services.database, services.clock.now_us())
    await _load_once(services, company, events)
    await found_budgets(services.database, company, services.clock.now_us())
    services.watch.touched(company.workspace_id)
    if not traffic:
        await _invite(services, url)
        return
    async with _traffic(services, company, url) as process:
        await _invite(services, url)
        await process.wait()
        click.echo("The live traffic has ended by itself; the page stays.", err=True)


async def _load_once(services: Services, company: Company, events: int) -> None:
    data_dir = services.settings.data_dir
    state = read_state(data_dir) or DemoState(events, services.clock.now_us(), loaded=False)
    if state.loaded:
        click.echo(f"Using the {state.events:,} events that {data_dir} holds already.")
        return
    write_state(data_dir, state)
    plan = Plan(
        events=state.events,
        end_us=state.end_us,
        workspace_id=company.workspace_id,
        projects=company.projects,
    )
    began = time.monotonic()
    label = f"{DAYS} days of {COMPANY}, a made-up company"
    with click.progressbar(length=state.events, label=label) as bar:
        await load_history(plan, services.store, services.prices, bar.update)
    seconds = time.monotonic() - began
    write_state(data_dir, DemoState(state.events, state.end_us, loaded=True))
    click.echo(f"Loaded {state.events:,} events in {seconds:.1f} s.")


@asynccontextmanager
async def _traffic(services: Services, company: Company, url: str) -> AsyncIterator[Process]:
    """Runs the traffic in a process of its own, and lets it send the last of it at the end."""
    async with services.database.transaction() as connection:
        key = await create_key(
            connection,
            workspace_id=company.workspace_id,
            project_id=None,
            name="live traffic of the demonstration",
            kind="live",
            now_us=services.clock.now_us(),
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tokenwatcher_server.demo.traffic",
        env=os.environ | {"TOKENWATCHER_API_KEY": key.raw, "TOKENWATCHER_ENDPOINT": url},
        start_new_session=True,  # Ctrl-C is for us: the traffic ends before the server does
    )  # fmt: skip
    try:
        yield process
    finally:
        await _end(process)
        async with services.database.transaction() as connection:
            await revoke_key(connection, key.record.id, services.clock.now_us())


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), TRAFFIC_STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _invite(services: Services, url: str) -> None:
    async with services.database.transaction() as connection:
        (user, *_) = await list_users(connection)
        token = await make_link(connection, user.id, services.clock.now_us())
    click.echo(_INVITATION.format(link=f"{url}/sign-in/{token}"))


_INVITATION = """
Open this link; it signs you in once, within the hour:

  {link}

What the numbers tell:
  - chat moved from claude-sonnet-4-5 to claude-sonnet-5 five weeks ago
  - the prompts of summarise are 38 % longer since ten days
  - a robot called review in a loop, one day three weeks ago
  - a few chats go to a model of the company's own, which has no price

Ctrl-C stops everything.
"""

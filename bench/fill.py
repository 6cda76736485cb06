"""`python -m bench.fill FOLDER EVENTS`: fill a data folder with made-up history."""

import asyncio
import sys
from pathlib import Path
from typing import Literal

import msgspec

from bench.stores import MARKER, Filled, today
from tokenwatcher_server.access.keys import create_key
from tokenwatcher_server.app import running_app
from tokenwatcher_server.demo.founding import Company, found_company
from tokenwatcher_server.demo.history import Plan
from tokenwatcher_server.demo.load import load_history
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.services import Services


async def fill(folder: Path, events: int, events_url: str | None = None) -> Filled:
    day = today()
    async with running_app(Settings(data_dir=folder, events_url=events_url)) as app:
        services = app.services
        now_us = services.clock.now_us()
        company = await found_company(services.database, now_us)
        plan = Plan(
            events=events,
            end_us=now_us,
            workspace_id=company.workspace_id,
            projects=company.projects,
        )
        if events:
            await load_history(plan, services.store, services.prices, lambda _: None)
        key = await _make_key(services, company, "live")
        read_key = await _make_key(services, company, "read")
    return Filled(
        events=events,
        day=day,
        workspace_id=company.workspace_id,
        projects=dict(company.projects),
        key=key,
        read_key=read_key,
    )


async def _make_key(services: Services, company: Company, kind: Literal["live", "read"]) -> str:
    async with services.database.transaction() as connection:
        made = await create_key(
            connection,
            workspace_id=company.workspace_id,
            project_id=None,
            name="bench",
            kind=kind,
            now_us=services.clock.now_us(),
        )
    return made.raw


def main() -> None:
    folder, events = Path(sys.argv[1]), int(sys.argv[2])
    filled = asyncio.run(fill(folder, events))
    (folder / MARKER).write_bytes(msgspec.json.encode(filled))


if __name__ == "__main__":
    main()

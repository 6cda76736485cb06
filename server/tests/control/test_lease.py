"""Of several servers one alone does what comes round, and another when that one is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.tests.postgres_server import Postgres
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.lease import Lease
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import FrozenClock

EVERY = 60.0


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return control_url(None, tmp_path)
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


def on(url: str, work: Callable[[Database, FrozenClock], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(url)
        await migrate(database)
        try:
            await work(database, FrozenClock(1_000_000_000))
        finally:
            await database.close()

    asyncio.run(run())


def test_one_of_many_has_it_and_keeps_it(url: str) -> None:
    async def work(database: Database, clock: FrozenClock) -> None:
        servers = [Lease(database, clock, "work", EVERY) for _ in range(8)]
        first = await asyncio.gather(*[server.held() for server in servers])
        assert first.count(True) == 1
        for _ in range(3):
            clock.advance(seconds=EVERY)
            mine = servers[first.index(True)]
            assert await mine.held()
            assert await asyncio.gather(*[server.held() for server in servers]) == first

    on(url, work)


def test_another_takes_over_from_one_that_is_gone(url: str) -> None:
    async def work(database: Database, clock: FrozenClock) -> None:
        gone, other = (Lease(database, clock, "work", EVERY) for _ in range(2))
        assert await gone.held()
        clock.advance(seconds=EVERY)
        assert not await other.held()
        clock.advance(seconds=EVERY)
        assert await other.held()
        assert not await gone.held()

    on(url, work)


def test_different_work_is_led_apart(url: str) -> None:
    async def work(database: Database, clock: FrozenClock) -> None:
        one: Any = Lease(database, clock, "alerts", EVERY)
        other: Any = Lease(database, clock, "retention", EVERY)
        assert await one.held()
        assert await other.held()

    on(url, work)

"""A real control database for each test, and a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate


@pytest.fixture
def on_database(tmp_path: Path) -> Callable[[Callable[[Database], Awaitable[Any]]], Any]:
    """Run a scenario on a migrated database."""

    def run(scenario: Callable[[Database], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            database = Database(control_url(None, tmp_path))
            try:
                await migrate(database)
                return await scenario(database)
            finally:
                await database.close()

        return asyncio.run(whole())

    return run

"""A real control database for each test, and a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

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


@pytest.fixture
def queries_of() -> Callable[[Database, str], list[str]]:
    """Lists, as they are sent, the queries of a database that name a table."""

    def listen(database: Database, table: str) -> list[str]:
        sent: list[str] = []

        def note(*arguments: Any) -> None:
            if table in arguments[2]:
                sent.append(arguments[2])

        event.listen(database._engine.sync_engine, "before_cursor_execute", note)
        return sent

    return listen

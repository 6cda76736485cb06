"""Brings the event tables to this version's schema; run at every start."""

from importlib.resources import files
from typing import Any, Final

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from tokenwatcher_server.events.store import StoreRefused

HEAD: Final = "0004"
"""The newest migration; a test compares it with the files in `migrations/versions`."""
VERSION_TABLE: Final = "event_store_version"
LOCK: Final = int.from_bytes(b"tw-event")
"""The advisory lock of whoever migrates, so that of several servers that start one does."""


async def migrate(url: str) -> None:
    """Apply what is missing, in one transaction that a second server waits for.

    Raises StoreRefused for tables of a newer version than this one.
    """
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        version = await _version(connection)
    finally:
        await connection.close()
    if version == HEAD:
        return

    async def connect() -> Any:
        return await asyncpg.connect(url, statement_cache_size=0)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    try:
        async with engine.begin() as begun:
            await begun.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
            await begun.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def _version(connection: Any) -> str | None:
    if not await connection.fetchval("select to_regclass($1::text) is not null", VERSION_TABLE):
        return None
    found: str | None = await connection.fetchval(f"select version_num from {VERSION_TABLE}")
    return found


def _upgrade(connection: Connection) -> None:
    # imported here: it takes longer than all the rest of a start that has nothing to migrate
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext

    config = Config()
    config.set_main_option("script_location", str(files(__package__) / "migrations"))
    config.attributes |= {"connection": connection, "version_table": VERSION_TABLE}
    options = {"version_table": VERSION_TABLE}
    version = MigrationContext.configure(connection, opts=options).get_current_revision()
    if version is not None and version > HEAD:
        raise StoreRefused(
            "EVENTS_URL: the events were written by a newer TokenWatcher; nothing was touched."
            " Run that version."
        )
    command.upgrade(config, "head")

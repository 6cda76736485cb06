"""The audit log only grows, shares the fate of its change, and holds no secret."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError

from tokenwatcher_server.control.audit import NOT_SHOWN, Actor, Entry, record
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.control.tables import audit_log

Result = TypeVar("Result")
ACTOR = Actor("user", "alice", "u1", "198.51.100.7", "request-1")


def on(folder: Path, work: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        database = Database(control_url(None, folder))
        try:
            await migrate(database)
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def entry(**fields: object) -> Entry:
    return Entry(action="key.create", object_kind="key", object_name="Chat bot", **fields)  # type: ignore[arg-type]


def test_an_entry_can_be_neither_changed_nor_removed(tmp_path: Path) -> None:
    async def work(database: Database) -> list[str]:
        async with database.transaction() as connection:
            await record(connection, ACTOR, entry(), 1)
        for change in (
            update(audit_log).values(actor_name="mallory"),
            delete(audit_log),
            text("INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log"),
        ):
            with pytest.raises(IntegrityError, match="append-only"):
                await _execute(database, change)
        async with database.reading() as connection:
            return list((await connection.execute(select(audit_log.c.actor_name))).scalars())

    assert on(tmp_path, work) == ["alice"]


async def _execute(database: Database, change: object) -> None:
    async with database.transaction() as connection:
        await connection.execute(change)  # type: ignore[call-overload]


def test_a_change_that_fails_leaves_no_entry(tmp_path: Path) -> None:
    async def change(database: Database) -> None:
        async with database.transaction() as connection:
            await record(connection, ACTOR, entry(), 1)
            raise RuntimeError

    async def work(database: Database) -> int:
        with pytest.raises(RuntimeError):
            await change(database)
        async with database.reading() as connection:
            return len((await connection.execute(select(audit_log))).all())

    assert on(tmp_path, work) == 0


def test_before_and_after_hold_no_secret(tmp_path: Path) -> None:
    before = {"name": "old", "password": "canary1", "rules": [{"webhookSecret": "canary2"}]}
    after = {"rawKey": "canary3", "hash": "canary4", "inputTokens": 5, "name": "x" * 10_000}

    async def work(database: Database) -> tuple[str, str]:
        async with database.transaction() as connection:
            await record(connection, ACTOR, entry(before=before, after=after), 1)
        async with database.reading() as connection:
            row = (await connection.execute(select(audit_log))).one()
            return row.before, row.after

    old, new = on(tmp_path, work)
    assert "canary" not in old + new
    assert json.loads(old) == {
        "name": "old",
        "password": NOT_SHOWN,
        "rules": [{"webhookSecret": NOT_SHOWN}],
    }
    assert json.loads(new)["inputTokens"] == 5
    assert len(new) < 1_000

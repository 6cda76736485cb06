"""Keys: told from junk without a query, kept as a hash, refused once revoked."""

import asyncio
import re
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from tokenwatcher_server.access.keys import (
    KINDS,
    NewKey,
    create_key,
    is_well_formed,
    make_raw_key,
    revoke_key,
)
from tokenwatcher_server.access.verifier import MOST_REMEMBERED, KeyVerifier
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import FrozenClock

NOW_US = 1_800_000_000_000_000


async def new_key(database: Database) -> NewKey:
    async with database.transaction() as connection:
        workspace = await create_workspace(connection, "Acme", NOW_US)
        return await create_key(
            connection,
            workspace_id=workspace.id,
            project_id=None,
            name="key",
            kind="live",
            now_us=NOW_US,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_says_its_kind_and_checks_itself(kind: Any) -> None:
    raw = make_raw_key(kind)
    assert re.fullmatch(rf"tw_{kind}_[0-9A-Za-z]{{49}}", raw)
    assert is_well_formed(raw)
    assert make_raw_key(kind) != raw


@given(st.integers(0, 56), st.sampled_from("0aZ9"))
def test_one_changed_character_is_no_key(position: int, character: str) -> None:
    raw = make_raw_key("live")
    changed = raw[:position] + character + raw[position + 1 :]
    assert is_well_formed(changed) == (changed == raw)


@pytest.mark.parametrize("junk", ["", "tw_live_", "tw_live_" + "a" * 49, "é" * 57, "x" * 100_000])
def test_junk_is_no_key(junk: str) -> None:
    assert not is_well_formed(junk)


def test_only_a_hash_of_the_key_is_kept(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        async with database.reading() as connection:
            rows = (await connection.execute(text("SELECT * FROM api_keys"))).mappings().all()
        assert rows[0]["hash"] == sha256(made.raw.encode()).digest()
        assert made.raw not in str(rows)
        assert rows[0]["prefix"] == made.raw[:16]

    on_database(scenario)


def test_junk_costs_no_query_and_a_known_key_one(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        queries: list[str] = []
        engine = database._engine.sync_engine
        event.listen(
            engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2])
        )
        for _ in range(100):
            assert await verifier.verify("tw_live_" + "a" * 49) is None
        assert [query for query in queries if "api_keys" in query] == []
        for _ in range(100):
            assert await verifier.verify(made.raw) is not None
        assert verifier.cached(made.raw) is not None
        unknown = make_raw_key("live")
        for _ in range(100):
            assert await verifier.verify(unknown) is None
        assert len([query for query in queries if "api_keys" in query]) == 2

    on_database(scenario)


def test_a_hundred_requests_at_once_with_a_new_key_ask_once(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        queries: list[str] = []
        event.listen(
            database._engine.sync_engine,
            "before_cursor_execute",
            lambda *arguments: queries.append(arguments[2]),
        )
        found = await asyncio.gather(*(verifier.verify(made.raw) for _ in range(100)))
        assert None not in found
        assert len([query for query in queries if "api_keys" in query]) == 1

    on_database(scenario)


def test_a_key_revoked_here_is_refused_at_once(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        assert await verifier.verify(made.raw) is not None
        async with database.transaction() as connection:
            assert await revoke_key(connection, made.record.id, NOW_US)
            assert not await revoke_key(connection, made.record.id, NOW_US)
        verifier.forget()
        assert verifier.cached(made.raw) is None
        assert await verifier.verify(made.raw) is None

    on_database(scenario)


def test_a_key_made_or_revoked_elsewhere_is_seen_at_the_next_refresh(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        await verifier.refresh()
        assert await verifier.verify(made.raw) is not None
        async with database.transaction() as connection:
            await revoke_key(connection, made.record.id, NOW_US)
        await verifier.refresh()
        assert verifier.cached(made.raw) is None
        assert await verifier.verify(made.raw) is None

    on_database(scenario)


def test_ten_thousand_unknown_keys_do_not_grow_the_memory(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        for _ in range(200):
            assert await verifier.verify(make_raw_key("live")) is None
        verifier._unknown.update(n.to_bytes(32) for n in range(MOST_REMEMBERED))
        assert await verifier.verify(make_raw_key("live")) is None
        assert len(verifier._unknown) <= MOST_REMEMBERED

    on_database(scenario)


def test_when_a_key_was_last_used_is_noted(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        await verifier.verify(made.raw)
        clock.advance(seconds=61)
        await verifier.refresh()
        async with database.reading() as connection:
            found = await connection.execute(text("SELECT last_used_at FROM api_keys"))
        assert found.scalar() == NOW_US + 61_000_000

    on_database(scenario)

"""Keys: told from junk without a query, kept as a hash, refused once revoked."""

import asyncio
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, text

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
from tokenwatcher_server.control.tables import api_keys
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind

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


def test_junk_costs_no_query_and_a_key_one_however_often_it_comes(
    on_database: Any, queries_of: Any
) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        queries = queries_of(database, "api_keys")
        for _ in range(100):
            assert await verifier.verify("tw_live_" + "a" * 49) is None
        assert queries == []
        await verifier.refresh()
        queries.clear()
        for _ in range(100):
            assert await verifier.verify(made.raw) is not None
        assert verifier.cached(made.raw) is not None
        unknown = make_raw_key("live")
        for _ in range(100):
            assert await verifier.verify(unknown) is None
        assert len(queries) == 2

    on_database(scenario)


def test_a_hundred_requests_at_once_with_a_new_key_ask_once(
    on_database: Any, queries_of: Any
) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        verifier = KeyVerifier(database, FrozenClock(NOW_US))
        queries = queries_of(database, "api_keys")
        found = await asyncio.gather(*(verifier.verify(made.raw) for _ in range(100)))
        assert None not in found
        changed, key = queries
        assert "count" in changed
        assert "count" not in key

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


def test_a_key_revoked_elsewhere_is_refused_after_a_second_at_most(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        assert await verifier.verify(made.raw) is not None
        async with database.transaction() as connection:
            await revoke_key(connection, made.record.id, NOW_US)
        clock.advance(seconds=0.999)
        assert verifier.cached(made.raw) is not None
        clock.advance(seconds=0.001)
        assert verifier.cached(made.raw) is None
        assert await verifier.verify(made.raw) is None

    on_database(scenario)


def test_a_key_made_elsewhere_holds_after_a_second_at_most(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        await verifier.refresh()
        made = await new_key(database)
        clock.advance(seconds=1)
        assert await verifier.verify(made.raw) is not None

    on_database(scenario)


def test_no_sequence_of_changes_elsewhere_goes_unseen(on_database: Any) -> None:
    """As many keys as before, and as many revoked: but not the same ones."""

    async def scenario(database: Database) -> None:
        gone, kept = await new_key(database), await new_key(database)
        async with database.transaction() as connection:
            await revoke_key(connection, gone.record.id, NOW_US)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        assert await verifier.verify(kept.raw) is not None
        await new_key(database)
        async with database.transaction() as connection:
            await connection.execute(delete(api_keys).where(api_keys.c.id == gone.record.id))
            await revoke_key(connection, kept.record.id, NOW_US + 1)
        clock.advance(seconds=1)
        assert await verifier.verify(kept.raw) is None

    on_database(scenario)


def test_a_key_that_cant_be_checked_any_more_is_not_let_in(
    on_database: Any, tmp_path: Path
) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        assert await verifier.verify(made.raw) is not None
        await database.close()
        file = tmp_path / "control.db"
        file.rename(tmp_path / "away.db")
        file.mkdir()
        clock.advance(seconds=1)
        assert verifier.cached(made.raw) is None
        with pytest.raises(AppError) as refused:
            await verifier.verify(made.raw)
        assert refused.value.kind is Kind.UNAVAILABLE
        file.rmdir()
        (tmp_path / "away.db").rename(file)
        assert await verifier.verify(made.raw) is not None

    on_database(scenario)


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_is_put_right_makes_no_key_hold_longer(on_database: Any, jump: int) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        assert await verifier.verify(made.raw) is not None
        clock.advance(seconds=jump)
        assert verifier.cached(made.raw) is None

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


def test_when_a_key_was_last_used_is_noted_off_the_request_and_once_a_minute(
    on_database: Any, queries_of: Any
) -> None:
    async def scenario(database: Database) -> None:
        made = await new_key(database)
        clock = FrozenClock(NOW_US)
        verifier = KeyVerifier(database, clock)
        updates = queries_of(database, "UPDATE api_keys")
        for _ in range(60):
            await verifier.verify(made.raw)
            await verifier.refresh()
            clock.advance(seconds=1)
        assert updates == []
        await verifier.refresh()
        assert len(updates) == 1
        assert await last_used(database) == NOW_US + 59_000_000
        await verifier.verify(made.raw)
        await verifier.close()
        assert await last_used(database) == NOW_US + 60_000_000

    on_database(scenario)


async def last_used(database: Database) -> int | None:
    async with database.reading() as connection:
        found: int | None = (await connection.execute(select(api_keys.c.last_used_at))).scalar()
    return found

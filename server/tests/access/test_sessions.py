"""Sessions and sign-in links: made here, ended in time, never brought by a client."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tokenwatcher_server.access.links import make_link, use_link
from tokenwatcher_server.access.passwords import (
    Passwords,
)
from tokenwatcher_server.access.sessions import (
    IDLE_SECONDS,
    LIFETIME_SECONDS,
    Session,
    begin_session,
    end_session,
    find_session,
)
from tokenwatcher_server.access.users import User, create_user, set_password
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import MICROSECONDS

NOW_US = 1_800_000_000_000_000
PASSWORD = "correct horse battery"


async def new_user(database: Database) -> User:
    password_hash = await Passwords().hash(PASSWORD)
    async with database.transaction() as connection:
        return await create_user(connection, "ana", password_hash, NOW_US)


async def new_session(database: Database) -> Session:
    user = await new_user(database)
    async with database.transaction() as connection:
        return await begin_session(connection, user, NOW_US)


def test_the_id_of_a_session_is_not_in_the_database(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        assert len(session.id) == 43
        async with database.reading() as connection:
            rows = (await connection.execute(text("SELECT * FROM sessions"))).all()
        assert session.id not in str(rows)

    on_database(scenario)


def test_a_session_ends_after_its_lifetime_however_busy(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        hour = 3600 * MICROSECONDS
        for hours in range(1, 12):
            assert await find_session(database, session.id, NOW_US + hours * hour) is not None
        late = NOW_US + LIFETIME_SECONDS * MICROSECONDS
        assert await find_session(database, session.id, late) is None

    on_database(scenario)


def test_a_session_that_nobody_uses_ends_earlier(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        idle = IDLE_SECONDS * MICROSECONDS
        assert await find_session(database, session.id, NOW_US + idle - 1) is not None
        assert await find_session(database, session.id, NOW_US + 2 * idle) is None

    on_database(scenario)


def test_a_new_session_ends_the_one_that_the_client_came_with(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        old = await new_session(database)
        async with database.transaction() as connection:
            new = await begin_session(connection, old.user, NOW_US, instead_of=old.id)
            planted = await begin_session(connection, old.user, NOW_US, instead_of="attackerchosen")
        assert await find_session(database, old.id, NOW_US) is None
        assert await find_session(database, new.id, NOW_US) is not None
        assert planted.id != "attackerchosen"

    on_database(scenario)


def test_a_session_is_shown_even_where_its_use_cant_be_noted(
    on_database: Any, tmp_path: Path
) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        await database.close()
        reader = Database(f"sqlite+aiosqlite:///file:{tmp_path}/control.db?mode=ro&uri=true")
        later = NOW_US + 3600 * MICROSECONDS
        assert await find_session(reader, session.id, later) is not None
        await reader.close()

    on_database(scenario)


def test_a_session_that_was_signed_out_is_gone(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        async with database.transaction() as connection:
            await end_session(connection, session.id)
        assert await find_session(database, session.id, NOW_US) is None

    on_database(scenario)


def test_a_new_password_ends_every_session_and_every_link(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        session = await new_session(database)
        async with database.transaction() as connection:
            link = await make_link(connection, session.user.id, NOW_US)
            await set_password(connection, session.user.id, "hash", NOW_US)
            assert await use_link(connection, link, NOW_US) is None
        assert await find_session(database, session.id, NOW_US) is None

    on_database(scenario)


@pytest.mark.parametrize(
    "cookie",
    ["", "attackerchosen", "x" * 42, "x" * 44, "x" * 8000, "é" * 43, "../../x", "a\0" * 21],
)
def test_a_cookie_of_another_form_is_no_session(on_database: Any, cookie: str) -> None:
    async def scenario(database: Database) -> None:
        await new_session(database)
        assert await find_session(database, cookie, NOW_US) is None

    on_database(scenario)


def test_a_link_signs_in_once_and_not_for_long(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        user = await new_user(database)
        async with database.transaction() as connection:
            first = await make_link(connection, user.id, NOW_US)
            second = await make_link(connection, user.id, NOW_US)
            assert await use_link(connection, first, NOW_US) == user
            assert await use_link(connection, first, NOW_US) is None
            assert await use_link(connection, second, NOW_US + 3601 * MICROSECONDS) is None
            assert await use_link(connection, "made up", NOW_US) is None

    on_database(scenario)

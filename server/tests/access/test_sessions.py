"""Sessions, links and sign-in: made here, ended in time, and slow for those who guess."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError
from sqlalchemy import text

from tokenwatcher_server.access import csrf
from tokenwatcher_server.access.links import make_link, use_link
from tokenwatcher_server.access.login import ATTEMPTS_A_MINUTE, FREE_FAILURES, Login, Throttle
from tokenwatcher_server.access.passwords import (
    MOST_WAITING,
    Passwords,
    check_strength,
    generate_password,
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
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind

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


def test_sign_in_takes_the_right_password_alone(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        await new_user(database)
        login = Login(database, Passwords(), FrozenClock(NOW_US))
        assert await login.sign_in("ana", "wrong password", "192.0.2.1") is None
        assert await login.sign_in("nobody", PASSWORD, "192.0.2.1") is None
        assert await login.sign_in("ana", PASSWORD + " ", "192.0.2.1") is None
        first = await login.sign_in("ana", PASSWORD, "192.0.2.1")
        second = await login.sign_in("ana", PASSWORD, "192.0.2.1")
        assert first is not None
        assert second is not None
        assert first.id != second.id

    on_database(scenario)


class CountedPasswords(Passwords):
    """The real thing, and how often it was asked."""

    hashed = 0

    async def matches(self, password: str, known_hash: str | None) -> bool:
        self.hashed += 1
        return await super().matches(password, known_hash)


def test_a_throttled_sign_in_hashes_nothing(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        passwords = CountedPasswords()
        login = Login(database, passwords, FrozenClock(NOW_US))
        for number in range(ATTEMPTS_A_MINUTE):
            assert await login.sign_in(f"user {number}", PASSWORD, "192.0.2.1") is None
        for number in range(100):
            with pytest.raises(AppError) as refused:
                await login.sign_in(f"another {number}", PASSWORD, "192.0.2.1")
            assert refused.value.kind is Kind.RATE_LIMITED
        assert passwords.hashed == ATTEMPTS_A_MINUTE

    on_database(scenario)


def test_a_subscriber_counts_as_one_address_of_ipv6(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        login = Login(database, Passwords(), FrozenClock(NOW_US))
        for number in range(ATTEMPTS_A_MINUTE):
            await login.sign_in(f"user {number}", PASSWORD, f"2001:db8:1:2:{number:x}::1")
        with pytest.raises(AppError):
            await login.sign_in("another", PASSWORD, "2001:db8:1:2:ffff::1")
        assert await login.sign_in("another", PASSWORD, "2001:db8:1:3::1") is None
        assert await login.sign_in("another", PASSWORD, "::ffff:192.0.2.1") is None

    on_database(scenario)


def test_an_unknown_name_costs_as_much_as_a_wrong_password() -> None:
    passwords = Passwords()
    known = passwords._hasher.hash(PASSWORD)
    assert extract_parameters(passwords._nobodys_hash) == extract_parameters(known)
    assert (extract_parameters(known).memory_cost, extract_parameters(known).time_cost) == (
        19456,
        2,
    )
    assert not passwords._verify(PASSWORD, passwords._nobodys_hash)


def test_only_two_hash_at_once_and_only_so_many_wait(on_database: Any) -> None:
    async def scenario(_: Database) -> None:
        passwords = Passwords()
        running = most = 0

        class Hasher(PasswordHasher):
            def verify(self, *_: Any) -> Any:
                nonlocal running, most
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.002)
                with lock:
                    running -= 1
                raise VerificationError

        lock = threading.Lock()
        passwords._hasher = Hasher()
        answers = await asyncio.gather(
            *(passwords.matches(PASSWORD, None) for _ in range(MOST_WAITING + 10)),
            return_exceptions=True,
        )
        refused = [answer for answer in answers if isinstance(answer, AppError)]
        assert most == 2
        assert [error.kind for error in refused] == [Kind.UNAVAILABLE] * 10
        assert not await passwords.matches(PASSWORD, None)

    on_database(scenario)


def test_who_guesses_waits_longer_each_time_and_nobody_else_does() -> None:
    throttle = Throttle()
    now = NOW_US
    for _ in range(FREE_FAILURES):
        throttle.check("ana", "192.0.2.1", now)
        throttle.failed("ana", "192.0.2.1", now)
    waits = []
    for _ in range(3):
        with pytest.raises(AppError) as refused:
            throttle.check("ana", "192.0.2.1", now)
        assert refused.value.kind is Kind.RATE_LIMITED
        waits.append(refused.value.retry_after or 0)
        now += waits[-1] * MICROSECONDS
        throttle.check("ana", "192.0.2.1", now)
        throttle.failed("ana", "192.0.2.1", now)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    throttle.check("ana", "198.51.100.7", now)
    throttle.check("bob", "192.0.2.1", now)


def test_an_address_may_try_only_so_often_whatever_the_account() -> None:
    throttle = Throttle()
    for number in range(ATTEMPTS_A_MINUTE):
        throttle.check(f"user{number}", "192.0.2.1", NOW_US)
    with pytest.raises(AppError):
        throttle.check("another", "192.0.2.1", NOW_US)
    throttle.check("another", "192.0.2.1", NOW_US + 61 * MICROSECONDS)


def test_what_the_throttle_remembers_is_bounded() -> None:
    throttle = Throttle()
    for number in range(12_000):
        throttle.check("ana", f"address {number}", NOW_US)
        throttle.failed("ana", f"address {number}", NOW_US)
    assert len(throttle._attempts) <= 10_000
    assert len(throttle._failures) <= 10_000


@pytest.mark.parametrize(
    "password",
    [
        "",
        "1",
        "seven77",
        "password",
        "Admin123",
        "change_me",
        "change_me_in_production",
        "x" * 1025,
        "halves \ud800 of pairs",
    ],
)
def test_a_weak_password_is_refused_when_it_is_set(password: str) -> None:
    with pytest.raises(AppError):
        check_strength(password)


@pytest.mark.parametrize("password", ["x" * 64, "🔑 " * 100, "with\0nul byte", "x" * 1024])
def test_a_long_password_is_taken_whole(on_database: Any, password: str) -> None:
    async def scenario(_: Database) -> None:
        passwords = Passwords()
        known = await passwords.hash(password)
        assert await passwords.matches(password, known)
        assert not await passwords.matches(password[:-1], known)
        assert not await passwords.matches(password + "x", known)

    on_database(scenario)


def test_a_generated_password_is_strong_and_new() -> None:
    assert generate_password() != generate_password()
    check_strength(generate_password())


def test_a_csrf_token_holds_for_its_session_alone() -> None:
    secret = b"s" * 32
    token = csrf.make_token(secret, "session a")
    assert csrf.is_valid(secret, "session a", token)
    assert not csrf.is_valid(secret, "session b", token)
    assert not csrf.is_valid(b"t" * 32, "session a", token)


@pytest.mark.parametrize(
    "token",
    [None, "", ".", "null", "é" * 64, "\udce9" * 64, "x" * 1_000_000, "nonce.", ".sig", "a.b.c"],
)
def test_a_token_of_any_other_form_is_refused_without_an_error(token: str | None) -> None:
    assert not csrf.is_valid(b"s" * 32, "session", token)

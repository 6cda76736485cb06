"""Signing in: for the right password alone, and slow for those who guess."""

from typing import Any

import pytest
from sqlalchemy import select

from tokenwatcher_server.access.login import Login
from tokenwatcher_server.access.passwords import Passwords
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.access.throttle import (
    ADDRESS,
    ATTEMPTS_A_MINUTE,
    PAIR,
    Attempts,
    check_wait,
    note_failure,
)
from tokenwatcher_server.access.users import User, create_user
from tokenwatcher_server.control.audit import Actor
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import audit_log, sign_in_failures
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind

NOW_US = 1_800_000_000_000_000
PASSWORD = "correct horse battery"


def at(address: str) -> Actor:
    return Actor("visitor", "somebody", address=address)


async def new_user(database: Database) -> User:
    password_hash = await Passwords().hash(PASSWORD)
    async with database.transaction() as connection:
        return await create_user(connection, "ana", password_hash, NOW_US)


def test_sign_in_takes_the_right_password_alone(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        await new_user(database)
        login = Login(database, Passwords(), FrozenClock(NOW_US))
        assert await login.sign_in("ana", "wrong password", at("192.0.2.1")) is None
        assert await login.sign_in("nobody", PASSWORD, at("192.0.2.1")) is None
        assert await login.sign_in("ana", PASSWORD + " ", at("192.0.2.1")) is None
        first = await login.sign_in("ana", PASSWORD, at("192.0.2.1"))
        second = await login.sign_in("ana", PASSWORD, at("192.0.2.1"))
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
            assert await login.sign_in(f"user {number}", PASSWORD, at("192.0.2.1")) is None
        for number in range(100):
            with pytest.raises(AppError) as refused:
                await login.sign_in(f"another {number}", PASSWORD, at("192.0.2.1"))
            assert refused.value.kind is Kind.RATE_LIMITED
        assert passwords.hashed == ATTEMPTS_A_MINUTE

    on_database(scenario)


def test_a_subscriber_counts_as_one_address_of_ipv6(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        login = Login(database, Passwords(), FrozenClock(NOW_US))
        for number in range(ATTEMPTS_A_MINUTE):
            await login.sign_in(f"user {number}", PASSWORD, at(f"2001:db8:1:2:{number:x}::1"))
        with pytest.raises(AppError):
            await login.sign_in("another", PASSWORD, at("2001:db8:1:2:ffff::1"))
        assert await login.sign_in("another", PASSWORD, at("2001:db8:1:3::1")) is None
        assert await login.sign_in("another", PASSWORD, at("::ffff:192.0.2.1")) is None

    on_database(scenario)


def test_who_guesses_waits_longer_each_time_and_nobody_else_does(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        await new_user(database)
        clock, waits = FrozenClock(NOW_US), []
        for _ in range(PAIR.free):
            assert await guess(Login(database, Passwords(), clock)) is None
        for _ in range(3):
            with pytest.raises(AppError) as refused:
                await guess(Login(database, Passwords(), clock))  # a restart helps nobody
            assert refused.value.kind is Kind.RATE_LIMITED
            waits.append(refused.value.retry_after or 0)
            clock.advance(seconds=waits[-1])
            assert await guess(Login(database, Passwords(), clock)) is None
        assert waits == [2, 4, 8]
        login = Login(database, Passwords(), clock)
        assert await login.sign_in("ana", PASSWORD, at("198.51.100.7")) is not None
        assert await login.sign_in("bob", PASSWORD, at("192.0.2.1")) is None

    on_database(scenario)


async def guess(login: Login, username: str = "ana") -> Session | None:
    return await login.sign_in(username, "wrong password", at("192.0.2.1"))


def test_the_right_password_makes_a_pair_start_anew(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        await new_user(database)
        for _ in range(3):
            login = Login(database, Passwords(), FrozenClock(NOW_US))
            for _ in range(PAIR.free - 1):
                assert await guess(login) is None
            assert await login.sign_in("ana", PASSWORD, at("192.0.2.1")) is not None

    on_database(scenario)


def test_an_address_that_fails_with_many_accounts_waits_longer_each_time(on_database: Any) -> None:
    async def scenario(database: Database) -> None:
        clock = FrozenClock(NOW_US)
        async with database.transaction() as connection:
            for number in range(ADDRESS.free):
                await check_wait(connection, f"user {number}", "192.0.2.1", NOW_US)
                await note_failure(connection, f"user {number}", "192.0.2.1", NOW_US)
        with pytest.raises(AppError) as refused:
            await guess(Login(database, Passwords(), clock), "another")
        assert refused.value.retry_after == 2
        clock.advance(seconds=3_700)
        assert await guess(Login(database, Passwords(), clock), "another") is None

    on_database(scenario)


def test_what_the_throttle_remembers_is_bounded(on_database: Any) -> None:
    attempts = Attempts()
    for number in range(12_000):
        attempts.count(f"address {number}", NOW_US)
    assert len(attempts._attempts) <= 10_000

    async def scenario(database: Database) -> int:
        async with database.transaction() as connection:
            for number in range(50):
                await note_failure(connection, "ana", f"address {number}", NOW_US)
            await note_failure(connection, "ana", "another", NOW_US + 3_601 * MICROSECONDS)
            return len((await connection.execute(select(sign_in_failures))).all())

    assert on_database(scenario) == 2


def test_a_sign_in_made_and_one_refused_are_in_the_audit_log(on_database: Any) -> None:
    async def scenario(database: Database) -> list[tuple[Any, ...]]:
        user = await new_user(database)
        login = Login(database, Passwords(), FrozenClock(NOW_US))
        await login.sign_in("ana", "wrong password", at("192.0.2.1"))
        await login.sign_in("my password by mistake", PASSWORD, at("192.0.2.1"))
        await login.sign_in("ana", PASSWORD, at("192.0.2.1"))
        log = audit_log.c
        query = select(log.action, log.actor_id, log.object_name, log.address).order_by(log.id)
        async with database.reading() as connection:
            found = (await connection.execute(query)).all()
        assert {row.actor_id for row in found} == {None, user.id}
        return [(row.action, row.object_name, row.address) for row in found]

    assert on_database(scenario) == [
        ("session.refuse", "ana", "192.0.2.1"),
        ("session.refuse", "an unknown name", "192.0.2.1"),
        ("session.begin", "ana", "192.0.2.1"),
    ]

"""Signing in: for the right password alone, and slow for those who guess."""

from typing import Any

import pytest

from tokenwatcher_server.access.login import ATTEMPTS_A_MINUTE, FREE_FAILURES, Login, Throttle
from tokenwatcher_server.access.passwords import (
    Passwords,
)
from tokenwatcher_server.access.users import User, create_user
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.clock import MICROSECONDS, FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind

NOW_US = 1_800_000_000_000_000
PASSWORD = "correct horse battery"


async def new_user(database: Database) -> User:
    password_hash = await Passwords().hash(PASSWORD)
    async with database.transaction() as connection:
        return await create_user(connection, "ana", password_hash, NOW_US)


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

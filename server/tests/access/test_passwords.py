"""Passwords: strong enough when set, taken whole, hashed few at once."""

import asyncio
import threading
import time
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError

from tokenwatcher_server.access.passwords import (
    MOST_WAITING,
    Passwords,
    check_strength,
    generate_password,
)
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.kernel.errors import AppError, Kind

PASSWORD = "correct horse battery"


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

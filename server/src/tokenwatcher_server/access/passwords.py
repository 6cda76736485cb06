"""Passwords, hashed with Argon2id; few at once, as each takes much memory on purpose."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tokenwatcher_server.kernel.errors import Issue, invalid, unavailable

SHORTEST, LONGEST = 8, 1024
AT_ONCE = 2
MOST_WAITING = 50
PASSES, MEMORY_KIB, LANES = 2, 19 * 1024, 1
WELL_KNOWN = (
    *("password", "passw0rd", "12345678", "87654321", "11111111", "00000000", "qwertyui"),
    *("qwerty12", "admin", "tokenwatcher", "iloveyou", "football", "baseball", "sunshine"),
    *("princess", "superman", "letmein", "welcome", "trustno1", "1q2w3e4r", "abcd1234"),
)
LONG_ENOUGH = 16
"""From this length on a password may begin like a well-known one."""
SAMPLES = (
    *("change_me", "change-me", "changeme", "change_this", "change-this", "changethis"),
    *("replace_me", "replace-me", "replaceme", "your_", "your-", "yourpassword", "example"),
)
"""How the samples in documentation and `.env` files begin: refused however long they are."""


class Passwords:
    """Hashes and checks passwords in threads, at most two at a time.

    The parameters are OWASP's for Argon2id: 19 MiB, two passes, one lane.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16
        )
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys_hash = _hash_of_no_password()

    async def hash(self, password: str, *, however_weak: bool = False) -> str:
        """Raises AppError for a password that is too short, too long or well known."""
        if not however_weak:
            check_strength(password)
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, known_hash: str | None) -> bool:
        """Whether it is the password of this hash; takes as long where there is none (None).

        Raises AppError (503) where too many wait already.
        """
        if len(password) > LONGEST:
            return False
        async with self._turn():
            verified = await asyncio.to_thread(
                self._verify, password, known_hash or self._nobodys_hash
            )
        return verified and known_hash is not None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too many people sign in at this moment.", retry_after=5)
        self._waiting += 1
        try:
            async with self._free:
                yield
        finally:
            self._waiting -= 1

    def _verify(self, password: str, known_hash: str) -> bool:
        try:
            return self._hasher.verify(known_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _hash_of_no_password() -> str:
    """A hash of the usual form and cost that no password is known to have."""
    salt, digest = (b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


def check_strength(password: str, path: str = "password") -> None:
    """Raise AppError where a password is too short, too long or one that everybody tries."""
    lowered = password.lower()
    if not SHORTEST <= len(password) <= LONGEST:
        message = f"must have {SHORTEST} to {LONGEST} characters"
    elif any("\ud800" <= character <= "\udfff" for character in password):
        message = "is not text in UTF-8"
    elif lowered.startswith(SAMPLES) or (
        len(password) < LONG_ENOUGH and lowered.startswith(WELL_KNOWN)
    ):
        message = "is one that everybody tries first"
    else:
        return
    raise invalid(f"The password {message}.", Issue(path, message), code="WEAK_PASSWORD")


def generate_password() -> str:
    """Four groups of five letters and digits: about 99 bits, easy to copy by hand."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))
    return "-".join(groups)

"""Passwords, hashed with Argon2id; few at once, as each takes much memory on purpose."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tokenwatcher_server.kernel.errors import Issue, invalid

SHORTEST, LONGEST = 8, 1024
AT_ONCE = 2
WELL_KNOWN = frozenset(
    {"password", "password1", "12345678", "123456789", "1234567890", "admin", "admin123"}
    | {"administrator", "changeme", "change_me", "change-me", "letmein1", "qwertyui"}
    | {"tokenwatcher", "iloveyou", "football", "baseball", "welcome1", "trustno1"}
)


class Passwords:
    """Hashes and checks passwords in threads, at most two at a time.

    The parameters are OWASP's for Argon2id: 19 MiB, two passes, one lane.
    """

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._free = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """Raises AppError for a password that is too short, too long or well known."""
        check_strength(password)
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, known_hash: str | None) -> bool:
        """Whether it is the password of this hash; takes as long where there is none (None)."""
        if len(password) > LONGEST:
            return False
        async with self._free:
            if known_hash is None:
                self._nobody = self._nobody or await asyncio.to_thread(
                    self._hasher.hash, secrets.token_urlsafe()
                )
            verified = await asyncio.to_thread(
                self._verify, password, known_hash or self._nobody or ""
            )
        return verified and known_hash is not None

    def _verify(self, password: str, known_hash: str) -> bool:
        try:
            return self._hasher.verify(known_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_strength(password: str, path: str = "password") -> None:
    """Raise AppError where a password is too short, too long or one that everybody tries."""
    if not SHORTEST <= len(password) <= LONGEST:
        message = f"must have {SHORTEST} to {LONGEST} characters"
    elif password.lower().startswith(tuple(WELL_KNOWN)) and len(password) < 16:
        message = "is one that everybody tries first"
    else:
        return
    raise invalid(f"The password {message}.", Issue(path, message), code="WEAK_PASSWORD")


def generate_password() -> str:
    """Four groups of five letters and digits: about 100 bits, easy to copy by hand."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))
    return "-".join(groups)

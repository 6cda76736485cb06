"""Verifies keys on every request, from memory wherever it can.

What is remembered counts only while it is known to be true: for a second after the control
database said that no key was made or revoked. So a key that another process revoked is refused
within a second whatever else fails, and one that this process revoked at once (`forget`). Both
memories are bounded, as senders choose what is asked.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import bindparam, func, select, update

from tokenwatcher_server.access.keys import Key, is_well_formed
from tokenwatcher_server.access.secrets import SHORTEST_SECRET
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import api_keys
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.ids import KeyId

MOST_REMEMBERED = 10_000
TRUE_FOR_US = MICROSECONDS
USE_NOTED_EVERY_US = 60 * MICROSECONDS
CLOSE_SECONDS = 2.0

_Version = tuple[int, int, int | None]
"""How many keys there are and were revoked, and when the last was: no change goes unseen."""


def can_be_fallback(raw: str) -> bool:
    """Whether a key of an older deployment is long enough to be taken, and not one of ours."""
    return len(raw) >= SHORTEST_SECRET and not is_well_formed(raw)


class KeyVerifier:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, Key] = {}
        self._unknown: set[bytes] = set()
        self._version: _Version | None = None
        self._checked_at: int | None = None
        self._checking: asyncio.Task[None] | None = None
        self._looking_up: dict[bytes, asyncio.Task[Key | None]] = {}
        self._fallback: tuple[bytes, Key] | None = None
        self._used: dict[KeyId, int] = {}
        self._use_noted_at = clock.now_us()
        self.tell: Callable[[], None] | None = None
        """Lets other servers know that keys have changed; set where there is a way to."""

    def cached(self, raw: str) -> Key | None:
        """The key if it is remembered, and known to hold; None says nothing."""
        now_us = self._clock.now_us()
        if not self._is_true(now_us):
            return None
        return self._noted(self._known.get(sha256(raw.encode()).digest()), now_us)

    async def verify(self, raw: str) -> Key | None:
        """The key, or None for one that is malformed, unknown, revoked or expired.

        Raises AppError (503) where the control database can't be asked.
        """
        if not is_well_formed(raw):
            return self._fallback_for(raw)
        now_us = self._clock.now_us()
        if not self._is_true(now_us):
            await self._check()
        digest = sha256(raw.encode()).digest()
        if digest in self._unknown:
            return None
        return self._noted(self._known.get(digest) or await self._look_up(digest), now_us)

    def accept_fallback(self, raw: str, key: Key) -> None:
        """Take a key of an older deployment too, which is not in the control data.

        A key of our own form never is one: the control data alone says whether it holds.
        """
        if can_be_fallback(raw):
            self._fallback = (sha256(raw.encode()).digest(), key)

    def _fallback_for(self, raw: str) -> Key | None:
        if self._fallback is None:
            return None
        digest, key = self._fallback
        return key if compare_digest(digest, sha256(raw.encode()).digest()) else None

    def forget(self) -> None:
        """To be called after this process made or revoked a key."""
        self._clear()
        if self.tell is not None:
            self.tell()

    def hear(self) -> None:
        """Another server made or revoked a key: ask before any is believed again."""
        self._clear()
        self._checked_at = None

    def _clear(self) -> None:
        self._known.clear()
        self._unknown.clear()
        self._looking_up.clear()  # what they find may be out of date: nobody joins them now

    async def refresh(self) -> None:
        """See ahead of requests what other processes changed; note when keys were last used."""
        await self._check()
        if self._clock.now_us() - self._use_noted_at >= USE_NOTED_EVERY_US:
            await self.note_use()

    async def note_use(self) -> None:
        """Write down when the keys were last used that were used since the last time."""
        self._use_noted_at = self._clock.now_us()
        used, self._used = self._used, {}
        if not used:
            return
        statement = (
            update(api_keys)
            .where(api_keys.c.id == bindparam("key_id"))
            .values(last_used_at=bindparam("used_at"))
        )
        try:
            async with self._database.transaction() as connection:
                rows = [{"key_id": key_id, "used_at": at} for key_id, at in used.items()]
                await connection.execute(statement, rows)
        except AppError:
            self._used = used | self._used
            raise

    async def close(self) -> None:
        """Note the last uses, if the control database still takes them, and soon."""
        with suppress(AppError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.note_use()

    def _is_true(self, now_us: int) -> bool:
        return self._checked_at is not None and 0 <= now_us - self._checked_at < TRUE_FOR_US

    def _noted(self, key: Key | None, now_us: int) -> Key | None:
        if key is None or (key.expires_at is not None and key.expires_at <= now_us):
            return None
        self._used[key.id] = now_us
        return key

    async def _check(self) -> None:
        """Ask once whether any key changed, however many requests want to know."""
        if self._checking is None:
            self._checking = asyncio.create_task(self._compare_version())
            self._checking.add_done_callback(self._checked)
        await asyncio.shield(self._checking)

    def _checked(self, done: asyncio.Task[None]) -> None:
        self._checking = None
        if not done.cancelled():
            done.exception()  # whoever waits for it gets it; if nobody does any more, it is seen

    async def _compare_version(self) -> None:
        now_us = self._clock.now_us()  # before the question: the answer may be as old as this
        query = select(
            func.count(), func.count(api_keys.c.revoked_at), func.max(api_keys.c.revoked_at)
        ).select_from(api_keys)
        async with self._database.reading() as connection:
            total, revoked, last_revoked_at = (await connection.execute(query)).one()
        version = (total, revoked, last_revoked_at)
        if version != self._version:
            self._version = version
            self._clear()
        self._checked_at = now_us

    async def _look_up(self, digest: bytes) -> Key | None:
        """Ask the database once, however many requests arrive with the same key at once."""
        task = self._looking_up.get(digest)
        if task is None:
            task = asyncio.create_task(self._find(digest))
            self._looking_up[digest] = task
            task.add_done_callback(lambda done: self._remember(digest, done))
        return await asyncio.shield(task)

    def _remember(self, digest: bytes, done: asyncio.Task[Key | None]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if self._looking_up.get(digest) is not done:
            return
        del self._looking_up[digest]
        if failed:
            return
        key = done.result()
        memory = self._unknown if key is None else self._known
        if len(memory) >= MOST_REMEMBERED:
            memory.clear()
        if key is None:
            self._unknown.add(digest)
        else:
            self._known[digest] = key

    async def _find(self, digest: bytes) -> Key | None:
        columns = (
            api_keys.c.id,
            api_keys.c.workspace_id,
            api_keys.c.project_id,
            api_keys.c.kind,
            api_keys.c.expires_at,
        )
        query = select(*columns).where(api_keys.c.hash == digest, api_keys.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Key(*row)

"""Verifies keys on every request, from memory wherever it can.

What is remembered holds until keys change: at once where this process changed them, within a
second where another did (`refresh`). Both memories are bounded, as senders choose what is asked.
"""

import asyncio
from hashlib import sha256

from sqlalchemy import func, select, update

from tokenwatcher_server.access.keys import Key, is_well_formed
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import api_keys
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock

MOST_REMEMBERED = 10_000
LAST_USED_EVERY_US = 60 * MICROSECONDS


class KeyVerifier:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, Key] = {}
        self._unknown: set[bytes] = set()
        self._version: tuple[int, int] | None = None
        self._looking_up: dict[bytes, asyncio.Task[Key | None]] = {}
        self._used: set[str] = set()
        self._use_noted_at = clock.now_us()

    def cached(self, raw: str) -> Key | None:
        """The key if it is remembered as holding; None says nothing."""
        key = self._known.get(sha256(raw.encode()).digest())
        if key is not None:
            self._used.add(key.id)
        return key

    async def verify(self, raw: str) -> Key | None:
        """The key, or None for one that is malformed, unknown or revoked."""
        if not is_well_formed(raw):
            return None
        digest = sha256(raw.encode()).digest()
        if digest in self._unknown:
            return None
        key = self._known.get(digest) or await self._look_up(digest)
        if key is not None:
            self._used.add(key.id)
        return key

    def forget(self) -> None:
        """To be called after this process made or revoked a key."""
        self._known.clear()
        self._unknown.clear()
        self._looking_up.clear()  # what they find may be out of date: nobody joins them now

    async def refresh(self) -> None:
        """See keys that another process made or revoked; note when keys were last used."""
        query = select(func.count(), func.count(api_keys.c.revoked_at)).select_from(api_keys)
        async with self._database.reading() as connection:
            total, revoked = (await connection.execute(query)).one()
        if (total, revoked) != self._version:
            self._version = (total, revoked)
            self.forget()
        now_us = self._clock.now_us()
        if now_us - self._use_noted_at >= LAST_USED_EVERY_US:
            self._use_noted_at = now_us
            await self.note_use()

    async def note_use(self) -> None:
        """Write down which keys were used since the last time."""
        used, self._used = self._used, set()
        if not used:
            return
        async with self._database.transaction() as connection:
            await connection.execute(
                update(api_keys)
                .where(api_keys.c.id.in_(used))
                .values(last_used_at=self._clock.now_us())
            )

    async def _look_up(self, digest: bytes) -> Key | None:
        """Ask the database once, however many requests arrive with the same key at once."""
        task = self._looking_up.get(digest)
        if task is None:
            task = asyncio.create_task(self._find(digest))
            self._looking_up[digest] = task
            task.add_done_callback(lambda done: self._remember(digest, done))
        return await asyncio.shield(task)

    def _remember(self, digest: bytes, done: asyncio.Task[Key | None]) -> None:
        if self._looking_up.get(digest) is not done:
            return
        del self._looking_up[digest]
        if done.cancelled() or done.exception() is not None:
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
        )
        query = select(*columns).where(api_keys.c.hash == digest, api_keys.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Key(*row)

"""Removes what is older than its workspace keeps it, by itself, once an hour."""

import asyncio
from typing import Final

import msgspec

from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.lease import Lease
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import Clock, iso
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.retention.keeping import Due, What, due

FIRST_SECONDS: Final = 60.0
"""After a start, which has better things to do."""
TICK_SECONDS: Final = 3600.0
ITSELF: Final = Actor("server", "retention")


class Removed(msgspec.Struct, frozen=True, rename="camel"):
    """What was removed from one workspace: `count` events, or events' prompts."""

    workspace: str
    """Its slug."""
    what: What
    before: str
    count: int


class Retention:
    """The task that removes. Of several servers, one does it."""

    def __init__(
        self,
        database: Database,
        store: EventStore,
        clock: Clock,
        first_seconds: float = FIRST_SECONDS,
    ) -> None:
        self._database, self._store, self._clock = database, store, clock
        self._first_seconds = first_seconds
        self._done: frozenset[Due] = frozenset()
        self._lease = Lease(database, clock, "retention", TICK_SECONDS)

    async def run(self) -> None:
        """Remove for as long as the server runs."""
        await asyncio.sleep(self._first_seconds)
        while True:
            try:
                if await self._lease.held():
                    await self._remove(again=False, actor=ITSELF)
            except Exception:  # noqa: BLE001 - the next hour tries again
                logger().exception("what is too old can't be removed now; it is tried again")
            await asyncio.sleep(TICK_SECONDS)

    async def apply(self, actor: Actor) -> list[Removed]:
        """Remove now what is too old, also what came since the last time today.

        Raises StoreUnavailable.
        """
        return await self._remove(again=True, actor=actor)

    async def _remove(self, *, again: bool, actor: Actor) -> list[Removed]:
        async with self._database.reading() as connection:
            wanted = due(await list_workspaces(connection), self._clock.now_us())
        new = [each for each in wanted if again or each not in self._done]
        if not new:
            return []
        counts = await self._store.erase([each.erasure for each in new])
        removed = [(each, count) for each, count in zip(new, counts, strict=True) if count]
        await self._note(removed, actor)
        self._done = frozenset(wanted)
        return [
            Removed(each.workspace.slug, each.what, iso(each.before_us), count)
            for each, count in removed
        ]

    async def _note(self, removed: list[tuple[Due, int]], actor: Actor) -> None:
        async with self._database.transaction() as connection:
            for each, count in removed:
                entry = Entry(
                    action=f"{each.what}.expire",
                    object_kind="workspace",
                    object_name=each.workspace.name,
                    object_id=each.workspace.id,
                    workspace_id=each.workspace.id,
                    after={"before": iso(each.before_us), each.what: count},
                )
                await record(connection, actor, entry, self._clock.now_us())

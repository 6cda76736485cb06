"""Erases a person: their events are removed, or stay without them.

The audit log never has the id itself. It has a keyed digest of it: whoever knows the id can ask
for its digest and find the entries, and nobody can find the id from them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.workspaces import Workspace, find_workspace, list_workspaces
from tokenwatcher_server.control.audit import Actor, record
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.query import Dimension, Filter, Measure, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.money import usd
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.retention.person_notes import begun, note_done

_EVER: Final = Period(-(2**62), 2**62)
_MEASURES: Final[tuple[Measure, ...]] = ("calls", "input_tokens", "output_tokens", "cost")
_DIGEST_BYTES: Final = 16


class EraseArguments(msgspec.Struct, frozen=True):
    """`workspace` is a slug or an id, None for all."""

    user: str
    workspace: str | None = None
    unlink: bool = False
    dry_run: bool = False


class ErasedIn(msgspec.Struct, frozen=True, rename="camel"):
    """The person's events in one workspace; those that are erased, and what they came to."""

    workspace: str
    """Its slug."""
    events: int
    input_tokens: int
    output_tokens: int
    cost_usd: str


class PersonErased(msgspec.Struct, frozen=True, rename="camel"):
    """What an erasure did, or would do."""

    person: str
    """The digest by which the audit log knows them."""
    unlinked: bool
    dry_run: bool
    events: int
    workspaces: tuple[ErasedIn, ...]


Forget = Callable[[AsyncConnection, Sequence[WorkspaceId], str], Awaitable[None]]
"""Takes a person out of the control data of some workspaces."""


class People:
    """Erases people from a store; `key` is the server's secret, for the digests."""

    def __init__(
        self, database: Database, store: EventStore, clock: Clock, forget: Forget, key: bytes
    ) -> None:
        self._database, self._store, self._clock = database, store, clock
        self._forget = forget
        self._key = blake2b(key, digest_size=32, person=b"erased people").digest()

    def digest(self, user: str) -> str:
        """What stands for a person's id in the audit log."""
        return blake2b(user.encode(), digest_size=_DIGEST_BYTES, key=self._key).hexdigest()

    async def erase(self, actor: Actor, asked: EraseArguments) -> PersonErased:
        """Remove or unlink a person's events in one workspace or in all, and note it.

        It is noted before, as events must not vanish unseen, and again when it is done. Raises
        AppError (404) for an unknown workspace, and StoreUnavailable.
        """
        async with self._database.reading() as connection:
            places = await _workspaces(connection, asked.workspace)
        held = await self._held(asked.user, places)
        counted = sum(each.events for each in held.values())
        done = PersonErased(
            person=self.digest(asked.user),
            unlinked=asked.unlink,
            dry_run=asked.dry_run,
            events=counted,
            workspaces=tuple(held.values()),
        )
        if asked.dry_run:
            return done
        now_us = self._clock.now_us()
        async with self._database.transaction() as connection:
            for workspace_id, found in held.items():
                entry = begun(
                    done.person, workspace_id, unlinked=done.unlinked, events=found.events
                )
                await record(connection, actor, entry, now_us)
        erasure = Erasure(
            workspaces=tuple(workspace.id for workspace in places),
            fate="unlink" if done.unlinked else "remove",
            user=asked.user,
        )
        [counted] = await self._store.erase([erasure])
        async with self._database.transaction() as connection:
            await self._forget(connection, erasure.workspaces, asked.user)
            await note_done(
                connection, actor, done.person, erasure.workspaces, self._clock.now_us()
            )
        return msgspec.structs.replace(done, events=counted)

    async def _held(
        self, user: str, places: tuple[Workspace, ...]
    ) -> Mapping[WorkspaceId, ErasedIn]:
        """The person's events by workspace: those as user, as end user, but as both once."""
        mine, served = (Filter(Dimension(field), (user,)) for field in ("user", "end_user"))
        asked = [
            UsageQuery(
                scope=Scope(tuple(workspace.id for workspace in places)),
                period=_EVER,
                measures=_MEASURES,
                group_by=(Dimension("workspace"),),
                filters=filters,
            )
            for filters in ((mine,), (served,), (mine, served))
        ]
        sums: dict[str, list[int]] = {}
        answers = await self._store.usage(asked)
        for sign, rows in zip((1, 1, -1), answers, strict=True):
            for row in rows:
                counts = sums.setdefault(str(row.group[0]), [0] * len(_MEASURES))
                for place, value in enumerate(row.values):
                    counts[place] += sign * int(value or 0)
        return {
            workspace.id: _erased_in(workspace, sums[workspace.id])
            for workspace in places
            if workspace.id in sums
        }


def _erased_in(workspace: Workspace, sums: Sequence[int]) -> ErasedIn:
    events, input_tokens, output_tokens, cost = sums
    return ErasedIn(workspace.slug, events, input_tokens, output_tokens, f"{usd(cost):f}")


async def _workspaces(connection: AsyncConnection, reference: str | None) -> tuple[Workspace, ...]:
    if reference is None:
        return tuple(await list_workspaces(connection))
    found = await find_workspace(connection, reference)
    if found is None:
        raise not_found(f"There is no workspace '{reference}'.")
    return (found,)

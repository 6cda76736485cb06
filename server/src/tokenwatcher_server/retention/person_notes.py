"""What the audit log says of a person's erasure: that it began, and that it is done.

It begins before anything is gone, so that no event vanishes unseen. One that was killed between
the two is finished by the store, and noted as done when it is asked for again.
"""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.audit import Actor, Entry, Question, find_entries, record

KIND: Final = "person"
_BEGIN, _END = "-begin", "-end"
_MOST: Final = 10_000
"""Entries of one person that are looked through."""


def begun(person: str, workspace_id: str, *, unlinked: bool, events: int) -> Entry:
    """That a person's events in a workspace are about to be removed or unlinked."""
    return Entry(
        action=f"person.{'unlink' if unlinked else 'erase'}{_BEGIN}",
        object_kind=KIND,
        object_name=person,
        object_id=person,
        workspace_id=workspace_id,
        after={"events": events},
    )


async def note_done(
    connection: AsyncConnection, actor: Actor, person: str, workspaces: Sequence[str], now_us: int
) -> None:
    """Note it for each of these workspaces where it began and was not noted as done."""
    asked = Question(
        workspaces=tuple(workspaces),
        start_us=0,
        end_us=now_us + 1,
        object_kind=KIND,
        object_id=person,
        limit=_MOST,
    )
    newest: dict[str | None, Entry] = {}
    for written in await find_entries(connection, asked):
        newest.setdefault(written.entry.workspace_id, written.entry)
    for entry in newest.values():
        if entry.action.endswith(_BEGIN):
            done = replace(entry, action=entry.action.removesuffix(_BEGIN) + _END)
            await record(connection, actor, done, now_us)

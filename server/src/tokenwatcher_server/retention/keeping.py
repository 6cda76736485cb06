"""How long each workspace keeps its events, and prompts apart; both are set in days.

A day is UTC's. What is older than so many whole days is removed, so an event is kept for that
long at least, and a day longer at most.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.workspaces import Workspace
from tokenwatcher_server.control.tables import workspaces
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.kernel.clock import DAY_US

MOST_DAYS = 36_500
What = Literal["events", "prompts"]


class Due(msgspec.Struct, frozen=True):
    """What a workspace keeps no longer."""

    workspace: Workspace
    what: What
    before_us: int

    @property
    def erasure(self) -> Erasure:
        return Erasure(
            workspaces=(self.workspace.id,),
            fate="remove" if self.what == "events" else "forget-prompts",
            before_us=self.before_us,
        )


async def keep(
    connection: AsyncConnection,
    workspace_id: str,
    *,
    events_days: int | None,
    prompts_days: int | None,
) -> None:
    """Set how long a workspace keeps both: None is for ever, or for prompts as long as events."""
    await connection.execute(
        update(workspaces)
        .where(workspaces.c.id == workspace_id)
        .values(keep_events_days=events_days, keep_prompts_days=prompts_days)
    )


def due(found: Sequence[Workspace], now_us: int) -> list[Due]:
    """What these workspaces are to be rid of now."""
    wanted: list[Due] = []
    for workspace in found:
        events, prompts = workspace.keep_events_days, workspace.keep_prompts_days
        if events is not None:
            wanted.append(Due(workspace, "events", _days_ago(events, now_us)))
        if prompts is not None and (events is None or prompts < events):
            wanted.append(Due(workspace, "prompts", _days_ago(prompts, now_us)))
    return wanted


def _days_ago(days: int, now_us: int) -> int:
    return now_us - now_us % DAY_US - days * DAY_US

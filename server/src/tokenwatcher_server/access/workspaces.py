"""Workspaces: each is a tenant with its own projects, keys and events."""

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.projects import create_project
from tokenwatcher_server.access.slugs import slug_of
from tokenwatcher_server.control.tables import (
    alert_channels,
    alert_deliveries,
    alert_history,
    alert_rules,
    alert_standings,
    api_keys,
    invitations,
    memberships,
    projects,
    workspaces,
)
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid
from tokenwatcher_server.kernel.ids import WorkspaceId, new_id
from tokenwatcher_server.kernel.period import is_zone

DEFAULT = "default"
PROMPTS_DAYS = 30
"""How long prompts are kept where nobody said otherwise."""


class Workspace(msgspec.Struct, frozen=True, rename="camel"):
    id: WorkspaceId
    name: str
    slug: str
    created_at: int
    keep_events_days: int | None = None
    """None is for ever."""
    keep_prompts_days: int | None = PROMPTS_DAYS
    """None is as long as the events."""
    timezone: str = "UTC"
    """That of the alerts that are made here, unless they name their own."""


async def create_workspace(connection: AsyncConnection, name: str, now_us: int) -> Workspace:
    """Make a workspace with its `default` project; the slug comes from the name."""
    name = checked_name(name)
    taken = set((await connection.execute(select(workspaces.c.slug))).scalars())
    slug = slug_of(name, taken, otherwise="workspace")
    made = Workspace(WorkspaceId(new_id()), name, slug, now_us)
    await connection.execute(insert(workspaces).values(msgspec.structs.asdict(made)))
    await create_project(connection, made.id, DEFAULT, "production", now_us)
    return made


async def list_workspaces(connection: AsyncConnection) -> list[Workspace]:
    """Every workspace, oldest first."""
    rows = await connection.execute(select(workspaces).order_by(workspaces.c.created_at))
    return [Workspace(**row) for row in rows.mappings()]


async def find_workspace(connection: AsyncConnection, reference: str) -> Workspace | None:
    """The workspace with this id, else the one with this slug."""
    has_id = workspaces.c.id == reference
    query = select(workspaces).where(has_id | (workspaces.c.slug == reference))
    # a name can be chosen such that its slug is another workspace's id
    row = (await connection.execute(query.order_by(has_id.desc()))).mappings().first()
    return None if row is None else Workspace(**row)


async def rename_workspace(
    connection: AsyncConnection, workspace_id: WorkspaceId, name: str
) -> None:
    """Give another name; the slug stays, as commands and addresses use it."""
    await connection.execute(
        update(workspaces).where(workspaces.c.id == workspace_id).values(name=checked_name(name))
    )


async def set_timezone(connection: AsyncConnection, workspace_id: WorkspaceId, zone: str) -> None:
    """Have alerts be made in another zone; those that are there keep theirs. Raises AppError."""
    if not is_zone(zone):
        message = "must be a name of the time zone database"
        raise invalid(f"timezone {message}.", Issue("timezone", message))
    await connection.execute(
        update(workspaces).where(workspaces.c.id == workspace_id).values(timezone=zone)
    )


_REMOVED_WITH_IT = (
    memberships,
    invitations,
    alert_history,
    alert_rules,
    alert_deliveries,
    alert_channels,
    projects,
)


async def delete_workspace(connection: AsyncConnection, workspace_id: WorkspaceId) -> None:
    """Remove an empty workspace; raises AppError (409) while it has keys that hold.

    Revoked keys go with it, as do its members, invitations and alerts. Whether it has events is
    for the caller to check.
    """
    holding = select(func.count()).where(
        api_keys.c.workspace_id == workspace_id, api_keys.c.revoked_at.is_(None)
    )
    if (await connection.execute(holding)).scalar_one():
        raise AppError(
            Kind.CONFLICT, "STILL_IN_USE", "The workspace still has API keys; revoke them first."
        )
    await connection.execute(delete(api_keys).where(api_keys.c.workspace_id == workspace_id))
    rules = select(alert_rules.c.id).where(alert_rules.c.workspace_id == workspace_id)
    await connection.execute(delete(alert_standings).where(alert_standings.c.rule_id.in_(rules)))
    for table in _REMOVED_WITH_IT:
        await connection.execute(delete(table).where(table.c.workspace_id == workspace_id))
    await connection.execute(delete(workspaces).where(workspaces.c.id == workspace_id))

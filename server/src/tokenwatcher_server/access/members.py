"""Who belongs to which workspace, and as what."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.roles import Role
from tokenwatcher_server.access.users import User
from tokenwatcher_server.control.tables import memberships, users, workspaces
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import UserId, WorkspaceId


class Member(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: WorkspaceId
    user_id: UserId
    username: str
    role: Role
    created_at: int
    """Since when they belong to it."""


async def roles_of(connection: AsyncConnection, user: User) -> dict[WorkspaceId, Role]:
    """A person's role in each workspace they see, oldest first.

    Who owns the instance sees all of them, as an owner.
    """
    if user.owns_instance:
        query = select(workspaces.c.id).order_by(workspaces.c.created_at)
        return {WorkspaceId(one): "owner" for one in (await connection.execute(query)).scalars()}
    belonging = (
        select(workspaces.c.id, memberships.c.role)
        .join(memberships, memberships.c.workspace_id == workspaces.c.id)
        .where(memberships.c.user_id == user.id)
        .order_by(workspaces.c.created_at)
    )
    return {WorkspaceId(one.id): one.role for one in await connection.execute(belonging)}


async def list_members(connection: AsyncConnection, workspace_id: WorkspaceId) -> list[Member]:
    """Those of a workspace, by name."""
    query = _members().where(memberships.c.workspace_id == workspace_id)
    found = await connection.execute(query.order_by(func.lower(users.c.username)))
    return [Member(**row) for row in found.mappings()]


async def find_member(
    connection: AsyncConnection, workspace_id: WorkspaceId, user_id: str
) -> Member | None:
    query = _members().where(_is(workspace_id, user_id))
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else Member(**row)


async def add_member(
    connection: AsyncConnection, workspace_id: WorkspaceId, user_id: UserId, role: Role, now_us: int
) -> None:
    """Let somebody in; raises AppError (409) for who belongs to it already."""
    if await find_member(connection, workspace_id, user_id) is not None:
        raise AppError(Kind.CONFLICT, "ALREADY_A_MEMBER", "They belong to the workspace already.")
    await connection.execute(
        insert(memberships).values(
            workspace_id=workspace_id, user_id=user_id, role=role, created_at=now_us
        )
    )


async def change_role(connection: AsyncConnection, member: Member, role: Role) -> None:
    """Give a member another role; raises AppError (409) for the last owner."""
    if role != "owner":
        await _keep_an_owner(connection, member)
    await connection.execute(
        update(memberships).where(_is(member.workspace_id, member.user_id)).values(role=role)
    )


async def remove_member(connection: AsyncConnection, member: Member) -> None:
    """Let a member go; raises AppError (409) for the last owner."""
    await _keep_an_owner(connection, member)
    await connection.execute(delete(memberships).where(_is(member.workspace_id, member.user_id)))


async def _keep_an_owner(connection: AsyncConnection, member: Member) -> None:
    others = select(func.count()).where(
        memberships.c.workspace_id == member.workspace_id,
        memberships.c.role == "owner",
        memberships.c.user_id != member.user_id,
    )
    if member.role == "owner" and not (await connection.execute(others)).scalar_one():
        raise AppError(
            Kind.CONFLICT, "LAST_OWNER", "A workspace keeps an owner; make somebody else one first."
        )


def _is(workspace_id: str, user_id: str) -> ColumnElement[bool]:
    return and_(memberships.c.workspace_id == workspace_id, memberships.c.user_id == user_id)


def _members() -> Select[Any]:
    return select(
        memberships.c.workspace_id,
        memberships.c.user_id,
        users.c.username,
        memberships.c.role,
        memberships.c.created_at,
    ).join(users, users.c.id == memberships.c.user_id)

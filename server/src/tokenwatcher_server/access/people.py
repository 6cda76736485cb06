"""Making people and moving them between roles, each step with its entry in the audit log."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import members
from tokenwatcher_server.access.invitations import (
    Invitation,
    create_invitation,
    revoke_invitations_by,
    use_invitation,
)
from tokenwatcher_server.access.members import Member
from tokenwatcher_server.access.roles import Role
from tokenwatcher_server.access.users import User, create_user
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.tables import memberships, workspaces
from tokenwatcher_server.kernel.ids import UserId, WorkspaceId


class Person(msgspec.Struct, frozen=True):
    """Somebody to be made. An empty `password_hash` is for who signs in elsewhere."""

    username: str
    password_hash: str
    owns_instance: bool = False


async def add_person(
    connection: AsyncConnection,
    actor: Actor,
    person: Person,
    places: Mapping[WorkspaceId, Role],
    now_us: int,
) -> User:
    """Make a user who belongs to these workspaces; raises AppError where the name can't be."""
    user = await create_user(
        connection,
        person.username,
        person.password_hash,
        now_us,
        owns_instance=person.owns_instance,
    )
    await record(connection, actor, entry("create", user), now_us)
    for workspace_id, role in places.items():
        await admit(connection, actor, workspace_id, user, role, now_us)
    return user


async def admit(
    connection: AsyncConnection,
    actor: Actor,
    workspace_id: WorkspaceId,
    user: User,
    role: Role,
    now_us: int,
) -> None:
    """Let a user into a workspace; raises AppError (409) for who is in it."""
    await members.add_member(connection, workspace_id, user.id, role, now_us)
    member = Member(workspace_id, user.id, user.username, role, now_us)
    await record(connection, actor, member_entry("add", member, after=role), now_us)


async def give_role(
    connection: AsyncConnection, actor: Actor, member: Member, role: Role, now_us: int
) -> None:
    """Raises AppError (409) for the last owner. What they invited to is taken back."""
    await members.change_role(connection, member, role)
    await revoke_invitations_by(connection, member.workspace_id, member.user_id)
    entry = member_entry("change", member, before=member.role, after=role)
    await record(connection, actor, entry, now_us)


async def let_go(connection: AsyncConnection, actor: Actor, member: Member, now_us: int) -> None:
    """Raises AppError (409) for the last owner. What they invited to is taken back."""
    await members.remove_member(connection, member)
    await revoke_invitations_by(connection, member.workspace_id, member.user_id)
    await record(connection, actor, member_entry("remove", member, before=member.role), now_us)


async def invite(
    connection: AsyncConnection,
    actor: Actor,
    workspace_id: WorkspaceId,
    role: Role,
    note: str,
    now_us: int,
) -> tuple[Invitation, str]:
    """An invitation and its token, which is in no other place."""
    by = UserId(actor.id) if actor.kind == "user" and actor.id else None
    made, token = await create_invitation(connection, workspace_id, role, note, by, now_us)
    await record(connection, actor, invitation_entry("create", made), now_us)
    return made, token


async def accept(
    connection: AsyncConnection, actor: Actor, token: str, user: User, now_us: int
) -> None:
    """Let a user in by a link; raises AppError: 404 for one that is gone, 409 for who is in."""
    invitation = await use_invitation(connection, token, now_us)
    await record(connection, actor, invitation_entry("use", invitation), now_us)
    await admit(connection, actor, invitation.workspace_id, user, invitation.role, now_us)


def invitation_entry(verb: str, invitation: Invitation) -> Entry:
    return Entry(
        action=f"invitation.{verb}",
        object_kind="invitation",
        object_name=invitation.note,
        object_id=invitation.id,
        workspace_id=invitation.workspace_id,
        after={"role": invitation.role},
    )


def entry(verb: str, user: User) -> Entry:
    """What was done to a user: `create`, `password`, `sign-out`."""
    after = {"ownsInstance": True} if verb == "create" and user.owns_instance else None
    return Entry(
        action=f"user.{verb}",
        object_kind="user",
        object_name=user.username,
        object_id=user.id,
        after=after,
    )


def member_entry(
    verb: str, member: Member, *, before: Role | None = None, after: Role | None = None
) -> Entry:
    return Entry(
        action=f"member.{verb}",
        object_kind="member",
        object_name=member.username,
        object_id=member.user_id,
        workspace_id=member.workspace_id,
        before=None if before is None else {"role": before},
        after=None if after is None else {"role": after},
    )


async def roles_by_slug(connection: AsyncConnection) -> dict[UserId, dict[str, Role]]:
    """Everybody's role in each workspace, by its slug."""
    query = select(memberships.c.user_id, workspaces.c.slug, memberships.c.role).join(
        workspaces, workspaces.c.id == memberships.c.workspace_id
    )
    found: dict[UserId, dict[str, Role]] = {}
    for user_id, slug, role in await connection.execute(query):
        found.setdefault(user_id, {})[slug] = role
    return found

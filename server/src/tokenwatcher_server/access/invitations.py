"""Invitations: a link that lets one person into one workspace, once, within an hour."""

import secrets
from hashlib import sha256

import msgspec
from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.roles import Role
from tokenwatcher_server.control.tables import invitations
from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import UserId, WorkspaceId, new_id

LIFETIME_SECONDS = 3600


class Invitation(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    workspace_id: WorkspaceId
    role: Role
    note: str
    """For whom it is, as who made it wrote down."""
    invited_by: UserId | None
    created_at: int
    expires_at: int


async def create_invitation(
    connection: AsyncConnection,
    workspace_id: WorkspaceId,
    role: Role,
    note: str,
    invited_by: UserId | None,
    now_us: int,
) -> tuple[Invitation, str]:
    """An invitation and the token of its link, which is kept only as its hash."""
    token = secrets.token_urlsafe(32)
    made = Invitation(
        id=new_id(),
        workspace_id=workspace_id,
        role=role,
        note=checked_name(note, "note"),
        invited_by=invited_by,
        created_at=now_us,
        expires_at=now_us + LIFETIME_SECONDS * MICROSECONDS,
    )
    values = msgspec.structs.asdict(made)
    await connection.execute(insert(invitations).values(**values, hash=_hash(token), used_at=None))
    return made, token


async def list_invitations(
    connection: AsyncConnection, workspaces: tuple[WorkspaceId, ...], now_us: int
) -> list[Invitation]:
    """Those of these workspaces that can still be taken, newest first."""
    query = _open(now_us).where(invitations.c.workspace_id.in_(workspaces))
    found = await connection.execute(query.order_by(invitations.c.created_at.desc()))
    return [Invitation(**row) for row in found.mappings()]


async def find_invitation(
    connection: AsyncConnection, invitation_id: str, now_us: int
) -> Invitation | None:
    """The invitation with this id, None where it can no longer be taken."""
    query = _open(now_us).where(invitations.c.id == invitation_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else Invitation(**row)


async def invitation_of(connection: AsyncConnection, token: str, now_us: int) -> Invitation:
    """What a link invites to; raises AppError (404) for one that is used, old or made up."""
    query = _open(now_us).where(invitations.c.hash == _hash(token))
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise _gone()
    return Invitation(**row)


async def use_invitation(connection: AsyncConnection, token: str, now_us: int) -> Invitation:
    """Take a link's invitation, the first time only; raises AppError (404) ever after."""
    found = await invitation_of(connection, token, now_us)
    done = await connection.execute(
        update(invitations)
        .where(invitations.c.id == found.id, invitations.c.used_at.is_(None))
        .values(used_at=now_us)
    )
    if not done.rowcount:
        raise _gone()
    return found


async def revoke_invitation(connection: AsyncConnection, invitation_id: str) -> None:
    await connection.execute(
        delete(invitations).where(
            invitations.c.id == invitation_id, invitations.c.used_at.is_(None)
        )
    )


async def revoke_invitations_by(
    connection: AsyncConnection, workspace_id: WorkspaceId, user_id: UserId
) -> None:
    """Take back what somebody invited to, who may no longer invite."""
    await connection.execute(
        delete(invitations).where(
            invitations.c.workspace_id == workspace_id,
            invitations.c.invited_by == user_id,
            invitations.c.used_at.is_(None),
        )
    )


def _open(now_us: int) -> Select[tuple[object, ...]]:
    columns = (invitations.c[name] for name in Invitation.__struct_fields__)
    return select(*columns).where(
        invitations.c.used_at.is_(None), invitations.c.expires_at > now_us
    )


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _gone() -> AppError:
    return AppError(
        Kind.NOT_FOUND,
        "INVITATION_GONE",
        "This invitation was used before, was taken back, or has run out. Ask for another one.",
    )

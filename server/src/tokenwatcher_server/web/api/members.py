"""Who belongs to a workspace, and as what."""

from typing import Any

import msgspec
from litestar import Request, delete, get, patch
from litestar.params import FromPath, FromQuery, JSONBody

from tokenwatcher_server.access import people
from tokenwatcher_server.access.members import Member, find_member
from tokenwatcher_server.access.members import list_members as members_of
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.roles import Role, is_at_least
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api.workspaces import asked_workspaces, visible
from tokenwatcher_server.web.audit import actor_of
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


class RoleChange(msgspec.Struct, frozen=True):
    role: Role


class MemberView(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: str
    user_id: str
    username: str
    role: Role
    since: str


class ManyMembers(msgspec.Struct, frozen=True):
    members: list[MemberView]


class OneMember(msgspec.Struct, frozen=True):
    member: MemberView


def view(member: Member) -> MemberView:
    return MemberView(
        member.workspace_id, member.user_id, member.username, member.role, iso(member.created_at)
    )


@get("/api/members", summary="Who belongs to a workspace, or to all you see", right="members.see")
async def list_members(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
) -> ManyMembers:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = [one for place in workspaces for one in await members_of(connection, place)]
    return ManyMembers([view(member) for member in found])


@patch(
    "/api/workspaces/{workspace_id:str}/members/{user_id:str}",
    summary="Give a member another role",
    right="members.change",
)
async def change_member(
    request: AnyRequest,
    principal: Caller,
    workspace_id: FromPath[str],
    user_id: FromPath[str],
    data: JSONBody[RoleChange],
) -> OneMember:
    services = services_of(request)
    found = await _manageable(request, principal, workspace_id, user_id)
    check_rank(principal, found.workspace_id, data.role)
    async with services.database.transaction() as connection:
        actor, now_us = actor_of(request, principal), services.clock.now_us()
        await people.give_role(connection, actor, found, data.role, now_us)
    return OneMember(view(msgspec.structs.replace(found, role=data.role)))


@delete(
    "/api/workspaces/{workspace_id:str}/members/{user_id:str}",
    summary="Take a member out of a workspace",
    right="members.change",
)
async def remove_member(
    request: AnyRequest, principal: Caller, workspace_id: FromPath[str], user_id: FromPath[str]
) -> None:
    services = services_of(request)
    found = await _manageable(request, principal, workspace_id, user_id)
    async with services.database.transaction() as connection:
        actor, now_us = actor_of(request, principal), services.clock.now_us()
        await people.let_go(connection, actor, found, now_us)


def check_rank(principal: Principal, workspace_id: WorkspaceId, role: Role) -> None:
    """Nobody gives, or takes, a role above their own. Raises AppError (403)."""
    if not is_at_least(principal.roles[workspace_id], role):
        raise AppError(
            Kind.FORBIDDEN, "ROLE_TOO_LOW", f"Only an {role} may give or take the role {role}."
        )


async def _manageable(
    request: AnyRequest, principal: Principal, workspace_id: str, user_id: str
) -> Member:
    """A member whom this caller may change. Raises AppError (403, 404)."""
    workspace = await visible(request, principal, workspace_id)
    async with services_of(request).database.reading() as connection:
        found = await find_member(connection, workspace.id, user_id)
    if found is None:
        raise not_found("There is no such member in the workspace.")
    check_rank(principal, workspace.id, found.role)
    return found


ROUTES = (list_members, change_member, remove_member)

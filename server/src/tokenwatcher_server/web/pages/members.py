"""`/members`: who belongs to each workspace, as what, and who is invited."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.access.roles import ROLES, Role, is_at_least
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api import invitations as invitations_api
from tokenwatcher_server.web.api import members as members_api
from tokenwatcher_server.web.api.invitations import (
    InvitationBody,
    InvitationView,
    ManyInvitations,
    NewInvitation,
)
from tokenwatcher_server.web.api.members import ManyMembers, MemberView, RoleChange
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.controls import Choice
from tokenwatcher_server.web.pages.forms import action, back_to, body_of, fields_of
from tokenwatcher_server.web.pages.links import MEMBERS
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

ROLE_SENTENCES = (
    ("viewer", "sees usage, projects, keys by their prefix, and who else is here"),
    ("member", "also makes keys, projects and alerts, and downloads usage"),
    ("admin", "also invites people, gives roles, reads the audit log, and renames the workspace"),
    ("owner", "also removes the workspace, and makes other owners"),
)


class MemberRow(msgspec.Struct, frozen=True):
    member: MemberView
    you: bool
    roles: tuple[Choice, ...]
    """What the viewer may make of them, empty where that is nothing."""


class WorkspaceCard(msgspec.Struct, frozen=True):
    id: str
    name: str
    members: tuple[MemberRow, ...]
    invitations: tuple[InvitationView, ...]
    roles: tuple[Choice, ...]
    """What the viewer may invite to, empty for who may invite nobody."""


class MembersPage(msgspec.Struct, frozen=True):
    workspaces: tuple[WorkspaceCard, ...]
    roles: tuple[tuple[str, str], ...]
    made: NewInvitation | None = None


@get(MEMBERS, include_in_schema=False, right="members.see")
async def members_page(request: AnyRequest) -> Response[str]:
    return await _answer(request, await viewer_of(request))


@post(f"{MEMBERS}/invite", include_in_schema=False, status_code=200, right="members.change")
async def invite(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), InvitationBody)
    made: NewInvitation = await action(invitations_api.create_invitation)(
        request, viewer.principal, body
    )
    return await _answer(request, viewer, made)


@post(
    f"{MEMBERS}/invitations/{{invitation_id:str}}/revoke",
    include_in_schema=False,
    right="members.change",
)
async def revoke(request: AnyRequest, invitation_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(invitations_api.revoke_invitation)(request, viewer.principal, invitation_id)
    return back_to(MEMBERS)


@post(
    f"{MEMBERS}/{{workspace_id:str}}/{{user_id:str}}",
    include_in_schema=False,
    right="members.change",
)
async def change_role(
    request: AnyRequest, workspace_id: FromPath[str], user_id: FromPath[str]
) -> Response[Any]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), RoleChange)
    await action(members_api.change_member)(request, viewer.principal, workspace_id, user_id, body)
    return back_to(MEMBERS)


@post(
    f"{MEMBERS}/{{workspace_id:str}}/{{user_id:str}}/remove",
    include_in_schema=False,
    right="members.change",
)
async def remove(
    request: AnyRequest, workspace_id: FromPath[str], user_id: FromPath[str]
) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(members_api.remove_member)(request, viewer.principal, workspace_id, user_id)
    return back_to(MEMBERS)


async def _answer(
    request: AnyRequest, viewer: Viewer, made: NewInvitation | None = None
) -> Response[str]:
    members: ManyMembers = await action(members_api.list_members)(request, viewer.principal, None)
    invited = ManyInvitations([])
    if viewer.principal.may("members.change"):
        invited = await action(invitations_api.list_invitations)(request, viewer.principal, None)
    page = MembersPage(
        tuple(
            _card(viewer, WorkspaceId(workspace_id), name, members, invited)
            for workspace_id, name in viewer.workspaces
        ),
        ROLE_SENTENCES,
        made,
    )
    moment = Moment(services_of(request).clock.now_us(), None)
    return answer_page(request, moment, "members.html", viewer, page)


def _card(
    viewer: Viewer,
    workspace_id: WorkspaceId,
    name: str,
    members: ManyMembers,
    invited: ManyInvitations,
) -> WorkspaceCard:
    return WorkspaceCard(
        id=workspace_id,
        name=name,
        members=tuple(
            _row(viewer, workspace_id, member)
            for member in members.members
            if member.workspace_id == workspace_id
        ),
        invitations=tuple(one for one in invited.invitations if one.workspace_id == workspace_id),
        roles=_choices(viewer, workspace_id, "member"),
    )


def _row(viewer: Viewer, workspace_id: WorkspaceId, member: MemberView) -> MemberRow:
    session, own = viewer.principal.session, viewer.principal.roles[workspace_id]
    you = session is not None and session.user.id == member.user_id
    manageable = is_at_least(own, member.role)
    roles = _choices(viewer, workspace_id, member.role) if manageable else ()
    return MemberRow(member, you, roles)


def _choices(viewer: Viewer, workspace_id: WorkspaceId, chosen: Role) -> tuple[Choice, ...]:
    """The roles that the viewer may give, none above their own."""
    if not viewer.principal.may("members.change", workspace_id):
        return ()
    own = viewer.principal.roles[workspace_id]
    given = (role for role in ROLES if is_at_least(own, role))
    return tuple(Choice(role, role, role == chosen) for role in given)


ROUTES = (members_page, invite, revoke, change_role, remove)

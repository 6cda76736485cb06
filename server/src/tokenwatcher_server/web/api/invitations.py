"""Invitations by link: the link is in the answer that makes it, and nowhere after."""

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from tokenwatcher_server.access import invitations as access
from tokenwatcher_server.access import people
from tokenwatcher_server.access.invitations import Invitation, invitation_of
from tokenwatcher_server.access.login import signed_in as begin
from tokenwatcher_server.access.people import Person
from tokenwatcher_server.access.roles import Role
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.web.api.auth import Done
from tokenwatcher_server.web.api.members import check_rank
from tokenwatcher_server.web.api.workspaces import Name, asked_workspaces, visible
from tokenwatcher_server.web.audit import actor_of, note, visitor_of
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.client_address import own_address
from tokenwatcher_server.web.csrf import check_json, check_origin
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import session_cookie_of, signed_in

AnyRequest = Request[Any, Any, Any]
PAGE = "/invitation"
WARNING = "This is the only time the link is shown. It works once, within an hour."


class InvitationBody(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: str
    role: Role = "member"
    note: Name = "a colleague"


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str
    username: str
    password: str


class InvitationView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    workspace_id: str
    role: Role
    note: str
    created_at: str
    expires_at: str


class ManyInvitations(msgspec.Struct, frozen=True):
    invitations: list[InvitationView]


class NewInvitation(msgspec.Struct, frozen=True):
    invitation: InvitationView
    link: str
    warning: str


def view(invitation: Invitation) -> InvitationView:
    return InvitationView(
        invitation.id,
        invitation.workspace_id,
        invitation.role,
        invitation.note,
        iso(invitation.created_at),
        iso(invitation.expires_at),
    )


@get("/api/invitations", summary="Invitations that are still open", right="members.change")
async def list_invitations(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
) -> ManyInvitations:
    services = services_of(request)
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services.database.reading() as connection:
        found = await access.list_invitations(connection, workspaces, services.clock.now_us())
    return ManyInvitations([view(one) for one in found])


@post(
    "/api/invitations",
    summary="Invite somebody by a link, which is shown this once",
    right="members.change",
)
async def create_invitation(
    request: AnyRequest, principal: Caller, data: JSONBody[InvitationBody]
) -> NewInvitation:
    services = services_of(request)
    workspace = await visible(request, principal, data.workspace_id)
    check_rank(principal, workspace.id, data.role)
    async with services.database.transaction() as connection:
        actor, now_us = actor_of(request, principal), services.clock.now_us()
        made, token = await people.invite(
            connection, actor, workspace.id, data.role, data.note, now_us
        )
    link = f"{own_address(request, services.settings)}{PAGE}/{token}"
    return NewInvitation(view(made), link, WARNING)


@delete(
    "/api/invitations/{invitation_id:str}",
    summary="Take an invitation back",
    right="members.change",
)
async def revoke_invitation(
    request: AnyRequest, principal: Caller, invitation_id: FromPath[str]
) -> None:
    services = services_of(request)
    async with services.database.transaction() as connection:
        now_us = services.clock.now_us()
        found = await access.find_invitation(connection, invitation_id, now_us)
        if found is None or found.workspace_id not in principal.scope.workspaces:
            raise not_found("There is no such invitation in what you may see.")
        principal.check(found.workspace_id)
        await access.revoke_invitation(connection, found.id)
        await note(connection, request, principal, people.invitation_entry("revoke", found))


@post(
    "/api/invitations/accept",
    status_code=200,
    summary="Take an invitation: makes a user, and signs them in",
)
async def accept_invitation(request: AnyRequest, data: JSONBody[Acceptance]) -> Response[Done]:
    check_origin(request)
    check_json(request)
    session = await join(request, data.token, data.username, data.password)
    return signed_in(request, Response(Done(success=True)), session)


async def join(request: AnyRequest, token: str, username: str, password: str) -> Session:
    """Make the user whom a link invites, and sign them in; raises AppError where it can't be.

    Nothing is hashed for a link that is gone, and a name that is taken uses no link up.
    """
    services = services_of(request)
    async with services.database.reading() as connection:
        await invitation_of(connection, token, services.clock.now_us())
    person = Person(username, await services.passwords.hash(password))
    now_us, visitor = services.clock.now_us(), visitor_of(request)
    async with services.database.transaction() as connection:
        user = await people.add_person(connection, visitor, person, {}, now_us)
        await people.accept(connection, visitor, token, user, now_us)
        return await begin(
            connection,
            user,
            visitor,
            now_us,
            instead_of=session_cookie_of(request),
            how="invitation",
        )


ROUTES = (list_invitations, create_invitation, revoke_invitation, accept_invitation)

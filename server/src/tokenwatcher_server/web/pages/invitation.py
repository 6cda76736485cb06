"""`/invitation/{token}`: how somebody who was invited gets in, new or with an account."""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.access import people
from tokenwatcher_server.access.invitations import invitation_of
from tokenwatcher_server.access.roles import Role
from tokenwatcher_server.access.workspaces import find_workspace
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.api.invitations import PAGE, join
from tokenwatcher_server.web.audit import visitor_of
from tokenwatcher_server.web.csrf import check_token, form_field, token_cookie, token_of
from tokenwatcher_server.web.errors import STATUS
from tokenwatcher_server.web.frame import frame_of
from tokenwatcher_server.web.pages.forms import back_to
from tokenwatcher_server.web.pages.viewer import SIGN_IN, AnyRequest
from tokenwatcher_server.web.render import render
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import session_of, signed_in


class InvitationPage(msgspec.Struct, frozen=True):
    """What a link invites to. `signed_in_as` joins with one click; others choose a name."""

    action: str
    sign_in_href: str
    workspace: str
    role: Role
    signed_in_as: str | None
    username: str = ""
    problem: str | None = None


@get(f"{PAGE}/{{token:str}}", include_in_schema=False)
async def invitation_page(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    return await _page(request, token)


@post(f"{PAGE}/{{token:str}}", include_in_schema=False)
async def accept(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    services, session = services_of(request), await session_of(request)
    await check_token(request, session)
    if session is not None:
        async with services.database.transaction() as connection:
            actor = msgspec.structs.replace(
                visitor_of(request, session.user.username), kind="user", id=session.user.id
            )
            now_us = services.clock.now_us()
            await people.accept(connection, actor, token, session.user, now_us)
        return back_to("/")
    username = await form_field(request, "username")
    try:
        made = await join(request, token, username, await form_field(request, "password"))
    except AppError as error:
        if error.kind is not Kind.INVALID:
            raise
        return await _page(request, token, username, error)
    return signed_in(request, back_to("/"), made)


async def _page(
    request: AnyRequest, token: str, username: str = "", problem: AppError | None = None
) -> Response[Any]:
    services, session = services_of(request), await session_of(request)
    async with services.database.reading() as connection:
        invitation = await invitation_of(connection, token, services.clock.now_us())
        workspace = await find_workspace(connection, invitation.workspace_id)
    here = f"{PAGE}/{quote(token, safe='')}"
    page = InvitationPage(
        action=here,
        sign_in_href=f"{SIGN_IN}?next={here}",
        workspace=workspace.name if workspace else "",
        role=invitation.role,
        signed_in_as=None if session is None else session.user.username,
        username=username,
        problem=None if problem is None else problem.message,
    )
    csrf = token_of(request, session)
    frame = frame_of(request, PAGE, csrf_token=csrf)
    return Response(
        render("invitation.html", frame, page),
        status_code=200 if problem is None else STATUS[problem.kind],
        media_type="text/html",
        cookies=[token_cookie(request, csrf)],
    )


ROUTES = (invitation_page, accept)

"""`/account`: one's own password, and signing out everywhere."""

from typing import Any

import msgspec
from litestar import Response, get, post

from tokenwatcher_server.access.sessions import count_sessions
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api.account import (
    PasswordChange,
    end_every_session,
    with_new_password,
)
from tokenwatcher_server.web.csrf import form_field
from tokenwatcher_server.web.errors import STATUS
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import back_to
from tokenwatcher_server.web.pages.links import ACCOUNT
from tokenwatcher_server.web.pages.viewer import (
    SIGN_IN,
    AnyRequest,
    Viewer,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import forget_cookies, signed_in


class AccountPage(msgspec.Struct, frozen=True):
    username: str
    sessions: int
    """How many are open, this one among them; 0 where sign-in is off."""
    owns_instance: bool
    roles: tuple[tuple[str, str], ...]
    """Each workspace with the role there."""
    changed: bool = False
    problem: str | None = None


@get(ACCOUNT, include_in_schema=False, right="account.change")
async def account_page(request: AnyRequest) -> Response[Any]:
    return await _answer(request, await viewer_of(request))


@post(f"{ACCOUNT}/password", include_in_schema=False, status_code=200, right="account.change")
async def change_password(request: AnyRequest) -> Response[Any]:
    viewer = await viewer_of(request)
    change = PasswordChange(await form_field(request, "current"), await form_field(request, "new"))
    try:
        session = await with_new_password(request, viewer.principal, change)
    except AppError as error:
        if error.kind not in {Kind.INVALID, Kind.RATE_LIMITED}:
            raise
        return await _answer(request, viewer, error)
    return signed_in(request, back_to(f"{ACCOUNT}?changed=password"), session)


@post(f"{ACCOUNT}/sign-out-everywhere", include_in_schema=False, right="account.change")
async def sign_out_everywhere(request: AnyRequest) -> Response[Any]:
    viewer = await viewer_of(request)
    await end_every_session(request, viewer.principal)
    return forget_cookies(request, back_to(SIGN_IN))


async def _answer(
    request: AnyRequest, viewer: Viewer, problem: AppError | None = None
) -> Response[Any]:
    services, principal = services_of(request), viewer.principal
    now_us, sessions = services.clock.now_us(), 0
    if principal.session is not None:
        async with services.database.reading() as connection:
            sessions = await count_sessions(connection, principal.session.user.id, now_us)
    page = AccountPage(
        username=principal.name,
        sessions=sessions,
        owns_instance=principal.owns_instance,
        roles=tuple((name, principal.roles[WorkspaceId(key)]) for key, name in viewer.workspaces),
        changed=problem is None and request.query_params.get("changed") == "password",
        problem=None if problem is None else problem.message,
    )
    response = answer_page(request, Moment(now_us, None), "account.html", viewer, page)
    if problem is not None:
        response.status_code = STATUS[problem.kind]
        if problem.retry_after is not None:
            response.headers["Retry-After"] = str(problem.retry_after)
    return response


ROUTES = (account_page, change_password, sign_out_everywhere)

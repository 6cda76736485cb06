"""Signing a browser in and out: its cookies, and its session on the server."""

from typing import Any

from litestar import Request, Response

from tokenwatcher_server.access import csrf as csrf_tokens
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.sessions import Session, end_session, find_session
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.web import csrf
from tokenwatcher_server.web.audit import note, visitor_of
from tokenwatcher_server.web.cookies import cookie_of, make_cookie, session_cookie_name
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


def session_cookie_of(request: AnyRequest) -> str | None:
    """The id of the session that the browser says it has."""
    return cookie_of(request, session_cookie_name(request))


async def session_of(request: AnyRequest) -> Session | None:
    """The session of the request's cookie, where it holds."""
    services = services_of(request)
    session_id = session_cookie_of(request)
    if session_id is None:
        return None
    return await find_session(services.database, session_id, services.clock.now_us())


async def sign_in(request: AnyRequest, username: str, password: str) -> Session | None:
    """A new session in place of the present one, or None for a wrong name or password.

    Raises AppError (429) for those who try too often.
    """
    return await services_of(request).login.sign_in(
        username, password, visitor_of(request), instead_of=session_cookie_of(request)
    )


def signed_in(request: AnyRequest, response: Response[Any], session: Session) -> Response[Any]:
    """Give the answer the cookies of a new session."""
    services = services_of(request)
    name = session_cookie_name(request)
    response.set_cookie(make_cookie(request, name, session.id, httponly=True))
    token = csrf_tokens.make_token(services.csrf_secret, session.id)
    response.set_cookie(csrf.token_cookie(request, token))
    return response


def _ended(session: Session) -> Entry:
    user = session.user
    return Entry(
        action="session.end",
        object_kind="session",
        object_name=user.username,
        object_id=user.id,
    )


async def sign_out(
    request: AnyRequest, principal: Principal, response: Response[Any]
) -> Response[Any]:
    """End the session on the server, and take its cookies from the browser."""
    services = services_of(request)
    if principal.session is not None:
        async with services.database.transaction() as connection:
            await end_session(connection, principal.session.id)
            await note(connection, request, principal, _ended(principal.session))
    return forget_cookies(request, response)


def forget_cookies(request: AnyRequest, response: Response[Any]) -> Response[Any]:
    """Take the cookies of a session from the browser."""
    for name, httponly in ((session_cookie_name(request), True), (csrf.COOKIE, False)):
        response.set_cookie(make_cookie(request, name, "", httponly=httponly, seconds=0))
    return response

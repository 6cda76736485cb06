"""One's own account: the password, and every session at once."""

from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.params import JSONBody

from tokenwatcher_server.access import people
from tokenwatcher_server.access.login import signed_in as begin
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.access.users import end_sessions, set_password
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid
from tokenwatcher_server.web.api.auth import Done
from tokenwatcher_server.web.audit import note, visitor_of
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import forget_cookies, signed_in

AnyRequest = Request[Any, Any, Any]


class PasswordChange(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    current_password: str
    new_password: str


@post(
    "/api/auth/password",
    status_code=200,
    summary="Change your password: ends every session but a new one for this browser",
    right="account.change",
)
async def change_password(
    request: AnyRequest, principal: Caller, data: JSONBody[PasswordChange]
) -> Response[Done]:
    session = await with_new_password(request, principal, data)
    return signed_in(request, Response(Done(success=True)), session)


@post(
    "/api/auth/sign-out-everywhere",
    status_code=200,
    summary="End all of your sessions, this one too",
    right="account.change",
)
async def sign_out_everywhere(request: AnyRequest, principal: Caller) -> Response[Done]:
    await end_every_session(request, principal)
    return forget_cookies(request, Response(Done(success=True)))


async def with_new_password(
    request: AnyRequest, principal: Principal, data: PasswordChange
) -> Session:
    """Change the caller's password; gives the one session that they have from now on.

    Raises AppError: 400 where the present password is wrong or the new one weak, 429 for who
    guesses.
    """
    services, session = services_of(request), _own(principal)
    visitor = visitor_of(request, principal.name)
    if not await services.login.confirms(session.user, data.current_password, visitor):
        message = "is not your present password"
        raise invalid(
            f"This {message}.", Issue("currentPassword", message), code="WRONG_CREDENTIALS"
        )
    password_hash = await services.passwords.hash(data.new_password)
    now_us = services.clock.now_us()
    async with services.database.transaction() as connection:
        await set_password(connection, session.user.id, password_hash, now_us)
        await note(connection, request, principal, people.entry("password", session.user))
        return await begin(connection, session.user, visitor, now_us, instead_of=None)


async def end_every_session(request: AnyRequest, principal: Principal) -> None:
    session = _own(principal)
    async with services_of(request).database.transaction() as connection:
        await end_sessions(connection, session.user.id)
        await note(connection, request, principal, people.entry("sign-out", session.user))


def _own(principal: Principal) -> Session:
    if principal.session is None:
        raise AppError(Kind.CONFLICT, "NO_ACCOUNT", "Sign-in is off here: nobody has an account.")
    return principal.session


ROUTES = (change_password, sign_out_everywhere)

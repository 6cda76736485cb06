"""Signing in and out for programs and scripts; `web/pages/login.py` does it for people."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from tokenwatcher_server.access import sessions
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.auth import (
    Caller,
    check_json,
    check_origin,
    csrf_cookie,
    csrf_token_of,
    signed_in,
    signed_out,
)
from tokenwatcher_server.web.client_address import address_of
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    username: str
    password: str


class Done(msgspec.Struct, frozen=True):
    success: bool


class CsrfToken(msgspec.Struct, frozen=True, rename="camel"):
    csrf_token: str


@post("/api/auth/login", status_code=200, summary="Sign in: a session cookie, or 401")
async def login(request: AnyRequest, data: JSONBody[Credentials]) -> Response[Done]:
    check_origin(request)
    check_json(request)
    services = services_of(request)
    address = address_of(request, services.settings.trusted_proxies)
    session = await services.login.sign_in(data.username, data.password, address)
    if session is None:
        raise AppError(
            Kind.UNAUTHENTICATED, "WRONG_CREDENTIALS", "The username or the password is wrong."
        )
    return signed_in(request, Response(Done(success=True)), session)


@post("/api/auth/logout", status_code=200, summary="End this session, on the server too")
async def logout(request: AnyRequest, principal: Caller) -> Response[Done]:
    if principal.session is not None:
        async with services_of(request).database.transaction() as connection:
            await sessions.end_session(connection, principal.session.id)
    return signed_out(request, Response(Done(success=True)))


@get("/api/auth/csrf", summary="A CSRF token for this session, also as a readable cookie")
async def csrf(request: AnyRequest, principal: Caller) -> Response[CsrfToken]:
    if principal.key is not None:
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "A key needs no CSRF token.")
    token = csrf_token_of(request, principal.session)
    return Response(CsrfToken(token), cookies=[csrf_cookie(request, token)])


ROUTES = (login, logout, csrf)

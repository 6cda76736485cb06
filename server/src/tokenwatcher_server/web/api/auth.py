"""Signing in and out for programs and scripts; `web/pages/login.py` does it for people."""

import json
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody

from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.csrf import check_json, check_origin, token_cookie, token_of
from tokenwatcher_server.web.sign_in import sign_in, sign_out, signed_in

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
    json.loads(await request.body(), object_pairs_hook=_refuse_doubled)
    session = await sign_in(request, data.username, data.password)
    if session is None:
        raise AppError(
            Kind.UNAUTHENTICATED, "WRONG_CREDENTIALS", "The username or the password is wrong."
        )
    return signed_in(request, Response(Done(success=True)), session)


def _refuse_doubled(pairs: list[tuple[str, object]]) -> None:
    """Which of two passwords is meant can't be told, so neither is tried."""
    if len({key for key, _ in pairs}) != len(pairs):
        message = "has a key twice"
        raise invalid(f"The body {message}.", Issue("", message))


@post(
    "/api/auth/logout",
    status_code=200,
    summary="End this session, on the server too",
    right="account.change",
)
async def logout(request: AnyRequest, principal: Caller) -> Response[Done]:
    return await sign_out(request, principal, Response(Done(success=True)))


@get(
    "/api/auth/csrf",
    summary="A CSRF token for this session, also as a readable cookie",
    right="account.change",
)
async def csrf(request: AnyRequest, principal: Caller) -> Response[CsrfToken]:
    token = token_of(request, principal.session)
    return Response(CsrfToken(token), cookies=[token_cookie(request, token)])


ROUTES = (login, logout, csrf)

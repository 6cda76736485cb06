"""Signing in and out with forms, and by a link that works once; no script is needed."""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tokenwatcher_server.access.links import use_link as use_up
from tokenwatcher_server.access.login import signed_in as begin
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.audit import visitor_of
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.csrf import (
    check_origin,
    check_token,
    form_field,
    token_cookie,
    token_of,
)
from tokenwatcher_server.web.frame import frame_of
from tokenwatcher_server.web.render import render
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import (
    session_cookie_of,
    session_of,
    sign_in,
    sign_out,
    signed_in,
)

AnyRequest = Request[Any, Any, Any]
LONGEST_NEXT = 2000
SIGNED_IN_LONG_AGO = (
    "You signed in more than an hour ago. Sign in again to change keys or members;"
    " nothing was changed yet."
)
OIDC = "/login/oidc"
STATUS_OF_PROBLEM = {Kind.RATE_LIMITED: 429, Kind.FORBIDDEN: 403, Kind.UNAVAILABLE: 503}
"""What the sign-in page itself tells; other errors get the page for errors."""


class LoginPage(msgspec.Struct, frozen=True):
    next: str
    oidc_href: str | None = None
    """Where to sign in with the provider, None without one."""
    username: str = ""
    problem: str | None = None


class LinkPage(msgspec.Struct, frozen=True):
    action: str


def local_path(wanted: str) -> str:
    """The path to go on to, if it is one of this site; the overview otherwise."""
    strange = any(ord(character) < 33 or character == "\\" for character in wanted)
    if not wanted.startswith("/") or wanted.startswith("//") or strange:
        return "/"
    return wanted[:LONGEST_NEXT]


@get("/login", include_in_schema=False)
async def login_page(request: AnyRequest) -> Response[Any]:
    wanted = local_path(request.query_params.get("next", "/"))
    needed = services_of(request).settings.dashboard_auth_enabled
    session = await session_of(request) if needed else None
    if session is not None and "again" in request.query_params:
        page = LoginPage(wanted, username=session.user.username, problem=SIGNED_IN_LONG_AGO)
        return login_answer(request, page, 200)
    if not needed or session is not None:
        return Redirect(wanted, status_code=303)
    return login_answer(request, LoginPage(wanted), 200)


@post("/login", include_in_schema=False)
async def login(request: AnyRequest) -> Response[Any]:
    username, password = (
        await form_field(request, "username"),
        await form_field(request, "password"),
    )
    wanted = local_path(await form_field(request, "next"))
    try:
        await check_token(request, None)
        session = await sign_in(request, username, password)
    except AppError as error:
        if error.kind not in STATUS_OF_PROBLEM:
            raise
        page = LoginPage(wanted, username=username, problem=error.message)
        response = login_answer(request, page, STATUS_OF_PROBLEM[error.kind])
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    if session is None:
        problem = "The username or the password is wrong."
        return login_answer(request, LoginPage(wanted, username=username, problem=problem), 401)
    return signed_in(request, Redirect(wanted, status_code=303), session)


@post("/logout", include_in_schema=False, right="account.change")
async def logout(request: AnyRequest, principal: Caller) -> Response[Any]:
    return await sign_out(request, principal, Redirect("/login", status_code=303))


@get("/sign-in/{token:str}", include_in_schema=False)
async def link_page(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Ask before the link is used up: a mail scanner or a preview also follows links."""
    frame = frame_of(request, "/sign-in")
    page = LinkPage(f"/sign-in/{quote(token, safe='')}")
    return Response(render("sign_in_link.html", frame, page), media_type="text/html")


@post("/sign-in/{token:str}", include_in_schema=False)
async def use_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    check_origin(request)
    services = services_of(request)
    now_us = services.clock.now_us()
    session = None
    async with services.database.transaction() as connection:
        user = await use_up(connection, token, now_us)
        if user is not None:
            session = await begin(
                connection,
                user,
                visitor_of(request),
                now_us,
                instead_of=session_cookie_of(request),
                how="link",
            )
    if session is None:
        problem = "This link was used before or has run out. Sign in with your password."
        return login_answer(request, LoginPage("/", problem=problem), 401)
    return signed_in(request, Redirect("/", status_code=303), session)


def login_answer(request: AnyRequest, page: LoginPage, status: int) -> Response[Any]:
    """The sign-in page, with what went wrong where something did."""
    if services_of(request).oidc is not None:
        href = f"{OIDC}?next={quote(page.next, safe='/')}"
        page = msgspec.structs.replace(page, oidc_href=href)
    token = token_of(request, None)
    frame = frame_of(request, "/login", csrf_token=token)
    body = render("login.html", frame, page)
    return Response(
        body, status_code=status, media_type="text/html", cookies=[token_cookie(request, token)]
    )


ROUTES = (login_page, login, logout, link_page, use_link)

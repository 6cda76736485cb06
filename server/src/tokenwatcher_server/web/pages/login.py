"""Signing in and out with forms, and by a link that works once; no script is needed."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from tokenwatcher_server.access import links, sessions
from tokenwatcher_server.access.sessions import begin_session
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.auth import Caller, check_origin, session_of, signed_in, signed_out
from tokenwatcher_server.web.client_address import address_of
from tokenwatcher_server.web.render import PageFrame, render, theme_of
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
LONGEST_NEXT = 2000


class LoginPage(msgspec.Struct, frozen=True):
    next: str
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
    if await session_of(request) is not None:
        return Redirect(wanted, status_code=303)
    return _page(request, LoginPage(wanted), 200)


@post("/login", include_in_schema=False)
async def login(request: AnyRequest) -> Response[Any]:
    check_origin(request)
    services = services_of(request)
    form = await request.form()
    username, password = str(form.get("username", "")), str(form.get("password", ""))
    wanted = local_path(str(form.get("next", "/")))
    address = address_of(request, services.settings.trusted_proxies)
    try:
        session = await services.login.sign_in(username, password, address)
    except AppError as error:
        if error.kind is not Kind.RATE_LIMITED:
            raise
        page = _page(request, LoginPage(wanted, username, error.message), 429)
        page.headers["Retry-After"] = str(error.retry_after)
        return page
    if session is None:
        problem = "The username or the password is wrong."
        return _page(request, LoginPage(wanted, username, problem), 401)
    return signed_in(request, Redirect(wanted, status_code=303), session)


@post("/logout", include_in_schema=False)
async def logout(request: AnyRequest, principal: Caller) -> Response[Any]:
    if principal.session is not None:
        async with services_of(request).database.transaction() as connection:
            await sessions.end_session(connection, principal.session.id)
    return signed_out(request, Redirect("/login", status_code=303))


@get("/sign-in/{token:str}", include_in_schema=False)
async def link_page(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    """Ask before the link is used up: a mail scanner or a preview also follows links."""
    frame = PageFrame(path="/sign-in", theme=theme_of(request))
    page = LinkPage(f"/sign-in/{token}")
    return Response(render("sign_in_link.html", frame, page), media_type="text/html")


@post("/sign-in/{token:str}", include_in_schema=False)
async def use_link(request: AnyRequest, token: FromPath[str]) -> Response[Any]:
    check_origin(request)
    services = services_of(request)
    now_us = services.clock.now_us()
    async with services.database.transaction() as connection:
        user = await links.use_link(connection, token, now_us)
        session = None if user is None else await begin_session(connection, user, now_us)
    if session is None:
        problem = "This link was used before or has run out. Sign in with your password."
        return _page(request, LoginPage("/", problem=problem), 401)
    return signed_in(request, Redirect("/", status_code=303), session)


def _page(request: AnyRequest, page: LoginPage, status: int) -> Response[Any]:
    frame = PageFrame(path="/login", theme=theme_of(request))
    return Response(render("login.html", frame, page), status_code=status, media_type="text/html")


ROUTES = (login_page, login, logout, link_page, use_link)

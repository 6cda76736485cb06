"""`/login/oidc`: to the OpenID Connect provider, and back with somebody it vouches for.

The browser carries what it set out with in a signed cookie, so that nobody finishes a sign-in
that another browser began.
"""

import hmac
from typing import Any

from litestar import Response, get
from litestar.response import Redirect

from tokenwatcher_server.access.login import signed_in as begin
from tokenwatcher_server.access.oidc import (
    REQUEST_SECONDS,
    SignInRequest,
    new_request,
    parse_group_roles,
    seal,
    unseal,
    user_for,
)
from tokenwatcher_server.access.oidc_provider import Provider
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.control.audit import Entry, record
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.web.audit import visitor_of
from tokenwatcher_server.web.client_address import own_address
from tokenwatcher_server.web.cookies import cookie_of, make_cookie
from tokenwatcher_server.web.errors import STATUS
from tokenwatcher_server.web.pages.login import OIDC, LoginPage, local_path, login_answer
from tokenwatcher_server.web.pages.viewer import AnyRequest
from tokenwatcher_server.web.services import services_of
from tokenwatcher_server.web.sign_in import session_cookie_of, signed_in

COOKIE = "tokenwatcher_oidc"
CALLBACK = f"{OIDC}/callback"
LONGEST_CODE = 4_000


@get(OIDC, include_in_schema=False)
async def to_provider(request: AnyRequest) -> Response[Any]:
    services, provider = services_of(request), _provider(request)
    wanted = local_path(request.query_params.get("next", "/"))
    try:
        services.login.count_attempt(visitor_of(request))
        asked = new_request(wanted, services.clock.now_us())
        address = await provider.authorization_url(asked, _redirect_url(request))
    except AppError as error:
        return _refused(request, error, wanted)
    response: Response[Any] = Redirect(address, status_code=303)
    sealed = seal(services.csrf_secret, asked)
    response.set_cookie(
        make_cookie(request, COOKIE, sealed, httponly=True, seconds=REQUEST_SECONDS)
    )
    return response


@get(CALLBACK, include_in_schema=False)
async def from_provider(request: AnyRequest) -> Response[Any]:
    wanted = "/"
    try:
        asked = _asked(request)
        wanted = asked.next
        session = await _sign_in(request, asked)
    except AppError as error:
        await _note_refused(request, error)
        response = _refused(request, error, wanted)
    else:
        response = signed_in(request, Redirect(wanted, status_code=303), session)
    response.set_cookie(make_cookie(request, COOKIE, "", httponly=True, seconds=0))
    return response


def _asked(request: AnyRequest) -> SignInRequest:
    """What this browser set out with; raises AppError where the provider answers another one."""
    services = services_of(request)
    sealed = cookie_of(request, COOKIE)
    asked = unseal(services.csrf_secret, sealed, services.clock.now_us()) if sealed else None
    state = request.query_params.get("state", "")
    if asked is None or not hmac.compare_digest(asked.state.encode(), _bytes(state)):
        raise AppError(
            Kind.FORBIDDEN,
            "OIDC_STATE",
            "This sign-in was begun elsewhere, or long ago. Try again.",
        )
    return asked


async def _sign_in(request: AnyRequest, asked: SignInRequest) -> Session:
    services, provider, visitor = services_of(request), _provider(request), visitor_of(request)
    services.login.count_attempt(visitor)
    code = request.query_params.get("code", "")
    if not code or len(code) > LONGEST_CODE:
        raise AppError(Kind.FORBIDDEN, "OIDC_REFUSED", "The sign-in service let nobody in.")
    identity = await provider.identity(code, asked, _redirect_url(request))
    mapping = parse_group_roles(services.settings.oidc_group_roles)
    now_us = services.clock.now_us()
    async with services.database.transaction() as connection:
        user = await user_for(connection, visitor, identity, mapping, now_us)
        return await begin(
            connection,
            user,
            visitor,
            now_us,
            instead_of=session_cookie_of(request),
            how="single sign-on",
        )


async def _note_refused(request: AnyRequest, error: AppError) -> None:
    services = services_of(request)
    if error.kind in {Kind.RATE_LIMITED, Kind.UNAVAILABLE}:
        return
    entry = Entry(
        action="session.refuse",
        object_kind="session",
        object_name="single sign-on",
        after={"why": error.code},
    )
    async with services.database.transaction() as connection:
        await record(connection, visitor_of(request), entry, services.clock.now_us())


def _refused(request: AnyRequest, error: AppError, wanted: str) -> Response[Any]:
    response = login_answer(request, LoginPage(wanted, problem=error.message), STATUS[error.kind])
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _provider(request: AnyRequest) -> Provider:
    provider = services_of(request).oidc
    if provider is None:
        raise not_found("This server has no single sign-on.")
    return provider


def _redirect_url(request: AnyRequest) -> str:
    return own_address(request, services_of(request).settings) + CALLBACK


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


ROUTES = (to_provider, from_provider)

"""Session cookie or read key to a `Principal`; every handler that shows data takes one.

A call that changes something needs a session and a CSRF token bound to it: this is checked
here, so that no handler can forget it.
"""

import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from tokenwatcher_server.access.members import roles_of
from tokenwatcher_server.access.posture import is_loopback
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.roles import NEEDS_RECENT, Right
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.access.users import User
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import UserId
from tokenwatcher_server.web.client_address import is_behind_proxy
from tokenwatcher_server.web.csrf import check_change
from tokenwatcher_server.web.ingest_endpoint import bearer
from tokenwatcher_server.web.middleware.envelope import headers_by_name
from tokenwatcher_server.web.rate_limit import count_guess
from tokenwatcher_server.web.services import Services, services_of
from tokenwatcher_server.web.sign_in import session_of

SIGN_IN_AGAIN = "SIGN_IN_AGAIN"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
AT_THIS_MACHINE = User(UserId(""), "this machine", 0, owns_instance=True)

AnyRequest = Request[Any, Any, Any]
Caller = NamedDependency[Principal]
"""What a handler asks for where only a known caller may come in; see `principal_of`."""


async def principal_of(request: AnyRequest) -> Principal:
    """Who asks, and for what. Raises AppError: 401 for nobody (or who has to sign in again), 403 for who may not or a bad token.

    A route names the right that it takes (`right="keys.change"`); one that only reads and
    names none takes `usage.see`, any other that names none is closed.
    """
    principal = (await _known_caller(request)).coming_for(right_of(request.route_handler))
    if request.method not in SAFE_METHODS:
        _check_recent(principal, services_of(request).clock.now_us())
    return principal


def _check_recent(principal: Principal, now_us: int) -> None:
    session = principal.session
    if session is None or principal.right not in NEEDS_RECENT or session.is_recent(now_us):
        return
    raise AppError(
        Kind.UNAUTHENTICATED,
        SIGN_IN_AGAIN,
        "You signed in more than an hour ago: sign in again to change keys or members.",
    )


def right_of(handler: BaseRouteHandler) -> Right:
    """The right that a route takes; raises AppError (403) for one that should name it and doesn't."""
    found: Right | None = handler.opt.get("right")
    if found is None and isinstance(handler, HTTPRouteHandler) and handler.http_methods == {"GET"}:
        return "usage.see"
    if found is None:
        raise AppError(Kind.FORBIDDEN, "ROLE_TOO_LOW", "Nobody may do this.")
    return found


async def _known_caller(request: AnyRequest) -> Principal:
    if "authorization" in request.headers:
        return await _key_principal(request)
    services = services_of(request)
    session = await session_of(request)
    if session is None and services.settings.dashboard_auth_enabled:
        raise AppError(
            Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "Sign in first, or send a read key."
        )
    if not services.settings.dashboard_auth_enabled:
        _check_own_name(request, services)
    if request.method not in SAFE_METHODS:
        await check_change(request, session)
    return await _person(services, session)


async def read_key_of(request: AnyRequest) -> Principal | None:
    """The read key of the request, None where it has none that holds."""
    try:
        return await _key_principal(request)
    except AppError:
        return None


def sends_secret(request: AnyRequest, secret: str | None) -> bool:
    """Whether the request has this secret of the operator's as bearer; without one, never."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    return secret is not None and hmac.compare_digest(given.encode(), secret.encode())


def _check_own_name(request: AnyRequest, services: Services) -> None:
    """Where sign-in is off, answer to this machine's own names alone.

    A foreign page whose name was made to point at this machine could read everything else. A
    proxy that the operator trusts may ask by any name: it lets in whom it knows. So may anybody
    where the operator wants it so.
    """
    settings = services.settings
    if settings.insecure or is_behind_proxy(request, settings.trusted_proxies):
        return
    if not is_loopback(urlsplit(f"//{request.headers.get('host', '')}").hostname or ""):
        raise AppError(
            Kind.FORBIDDEN,
            "HOST_NOT_ALLOWED",
            "While sign-in is off, the dashboard is at localhost or 127.0.0.1 alone.",
        )


async def _key_principal(request: AnyRequest) -> Principal:
    services = services_of(request)
    headers, keys = headers_by_name(list(request.scope["headers"])), services.keys
    raw = bearer(headers)
    key = None if raw is None else keys.cached(raw) or await keys.verify(raw)
    if key is None:
        await count_guess(services.settings, services.limits, request.scope, headers)
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "A valid API key is needed.")
    if key.kind != "read":
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "This key only sends events.")
    if request.method not in SAFE_METHODS:
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "A read key changes nothing.")
    projects = None if key.project_id is None else (key.project_id,)
    return Principal(scope=Scope((key.workspace_id,), projects), key=key)


async def _person(services: Services, session: Session | None) -> Principal:
    """Somebody with a session; without one, who sits at a machine where sign-in is off."""
    owner = session is None or session.user.owns_instance
    async with services.database.reading() as connection:
        roles = await roles_of(connection, AT_THIS_MACHINE if session is None else session.user)
    scope = Scope(tuple(roles))
    return Principal(scope=scope, roles=roles, owns_instance=owner, session=session)

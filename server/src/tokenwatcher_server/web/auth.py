"""Session cookie or read key to a `Principal`; every handler that shows data takes one.

A call that changes something needs a session and a CSRF token bound to it: this is checked
here, so that no handler can forget it.
"""

from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from tokenwatcher_server.access import csrf
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.sessions import LIFETIME_SECONDS, Session, find_session
from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.client_address import is_https
from tokenwatcher_server.web.ingest_endpoint import bearer
from tokenwatcher_server.web.middleware.envelope import headers_by_name
from tokenwatcher_server.web.services import Services, services_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_COOKIE = "tokenwatcher_csrf"
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
OPEN_SESSION = "sign-in is off"
"""What CSRF tokens are bound to where there are no sessions."""

AnyRequest = Request[Any, Any, Any]
Caller = NamedDependency[Principal]
"""What a handler asks for where only a known caller may come in; see `principal_of`."""


async def principal_of(request: AnyRequest) -> Principal:
    """Who asks. Raises AppError: 401 for nobody, 403 for a key that may not or a bad token."""
    if "authorization" in request.headers:
        return await _key_principal(request)
    services = services_of(request)
    session = await session_of(request)
    if session is None and services.settings.dashboard_auth_enabled:
        raise AppError(
            Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "Sign in first, or send a read key."
        )
    if request.method not in SAFE_METHODS:
        if not _is_form(request):
            check_json(request)
        await check_csrf(request, session)
    return Principal(await _whole_scope(services), session=session)


async def session_of(request: AnyRequest) -> Session | None:
    """The session of the request's cookie, where it holds."""
    services = services_of(request)
    session_id = request.cookies.get(services.settings.dashboard_session_cookie_name)
    if session_id is None:
        return None
    return await find_session(services.database, session_id, services.clock.now_us())


async def check_csrf(request: AnyRequest, session: Session | None) -> None:
    """Refuse a change that did not come from our own page."""
    check_origin(request)
    token = request.headers.get(CSRF_HEADER)
    if token is None and _is_form(request):
        field = (await request.form()).get(CSRF_FIELD)
        token = field if isinstance(field, str) else None
    bound_to = session.id if session else OPEN_SESSION
    valid = csrf.is_valid(services_of(request).csrf_secret, bound_to, token)
    if not valid or request.cookies.get(CSRF_COOKIE) != token:
        raise _csrf_invalid()


def check_origin(request: AnyRequest) -> None:
    """Refuse what a browser says comes from another site."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise _csrf_invalid()
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise _csrf_invalid()


def check_json(request: AnyRequest) -> None:
    """Refuse a body of another type than JSON: a foreign page could send that without asking."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = request.headers.get("content-length", "0") != "0"
    if (has_body or "transfer-encoding" in request.headers) and kind != "application/json":
        raise AppError(Kind.UNSUPPORTED, "NOT_JSON", "Send application/json.")


def csrf_token_of(request: AnyRequest, session: Session | None) -> str:
    """The token for the page's forms: that of the cookie where it holds, else a new one."""
    secret = services_of(request).csrf_secret
    bound_to = session.id if session else OPEN_SESSION
    token = request.cookies.get(CSRF_COOKIE)
    if token is not None and csrf.is_valid(secret, bound_to, token):
        return token
    return csrf.make_token(secret, bound_to)


def csrf_cookie(request: AnyRequest, token: str) -> Cookie:
    """Readable by our own scripts, which send it back as a header."""
    return _cookie(request, CSRF_COOKIE, token, httponly=False)


def signed_in(request: AnyRequest, response: Response[Any], session: Session) -> Response[Any]:
    """Give the answer the cookies of a new session."""
    services = services_of(request)
    name = services.settings.dashboard_session_cookie_name
    response.set_cookie(_cookie(request, name, session.id, httponly=True))
    token = csrf.make_token(services.csrf_secret, session.id)
    response.set_cookie(csrf_cookie(request, token))
    return response


def signed_out(request: AnyRequest, response: Response[Any]) -> Response[Any]:
    response.delete_cookie(services_of(request).settings.dashboard_session_cookie_name)
    response.delete_cookie(CSRF_COOKIE)
    return response


async def read_key_of(request: AnyRequest) -> Principal | None:
    """The read key of the request, None where it has none that holds."""
    try:
        return await _key_principal(request)
    except AppError:
        return None


async def _key_principal(request: AnyRequest) -> Principal:
    keys = services_of(request).keys
    raw = bearer(headers_by_name(list(request.scope["headers"])))
    key = None if raw is None else keys.cached(raw) or await keys.verify(raw)
    if key is None:
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "A valid API key is needed.")
    if key.kind != "read":
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "This key only sends events.")
    if request.method not in SAFE_METHODS:
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "A read key changes nothing.")
    projects = None if key.project_id is None else (key.project_id,)
    return Principal(Scope((key.workspace_id,), projects), key=key)


async def _whole_scope(services: Services) -> Scope:
    async with services.database.reading() as connection:
        found = await list_workspaces(connection)
    return Scope(tuple(workspace.id for workspace in found))


def _is_form(request: AnyRequest) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"application/x-www-form-urlencoded", "multipart/form-data"}


def _csrf_invalid() -> AppError:
    return AppError(
        Kind.FORBIDDEN, "CSRF_INVALID", "The form's token is missing or out of date; reload."
    )


def _cookie(request: AnyRequest, name: str, value: str, *, httponly: bool) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=LIFETIME_SECONDS,
        httponly=httponly,
        samesite="lax",
        secure=is_https(request, services_of(request).settings.trusted_proxies),
    )

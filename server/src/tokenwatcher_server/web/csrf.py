"""Nothing changes but by our own pages: what every state-changing request has to show.

1. The browser says that it comes from this site (`Sec-Fetch-Site`, else `Origin`).
2. It sends a token that was signed for its very session, both as a cookie and as the header
   `X-CSRF-Token` or the form field `csrf_token`.
3. A body that is no form is JSON, which no foreign page can send without asking first.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from tokenwatcher_server.access import csrf
from tokenwatcher_server.access.sessions import Session
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid
from tokenwatcher_server.web.cookies import cookie_of, make_cookie
from tokenwatcher_server.web.services import services_of

COOKIE = "tokenwatcher_csrf"
HEADER = "x-csrf-token"
FIELD = "csrf_token"
NO_SESSION = "no session"
"""What tokens are bound to before sign-in, and where sign-in is off."""
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

AnyRequest = Request[Any, Any, Any]


async def check_change(request: AnyRequest, session: Session | None) -> None:
    """Refuse a change that did not come from our own page. Raises AppError (403, 415)."""
    if content_type_of(request) not in FORMS:
        check_json(request)
    await check_token(request, session)


async def check_token(request: AnyRequest, session: Session | None) -> None:
    """Refuse a request without a token made for this session, or for none before sign-in."""
    check_origin(request)
    token = await _sent_token(request)
    valid = csrf.is_valid(services_of(request).csrf_secret, _bound_to(session), token)
    if not valid or cookie_of(request, COOKIE) != token:
        raise _invalid()


def check_origin(request: AnyRequest) -> None:
    """Refuse what a browser says comes from another site.

    No page can forge `Sec-Fetch-Site`, and it holds behind a proxy that rewrites the Host;
    browsers that don't send it send `Origin`. Programs send neither.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in {"same-origin", "none"}
    else:
        ours = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if not ours:
        raise _invalid()


def check_json(request: AnyRequest) -> None:
    """Refuse a body of another type than JSON: a foreign page could send that without asking."""
    has_body = request.headers.get("content-length", "0") != "0"
    if (has_body or "transfer-encoding" in request.headers) and (
        content_type_of(request) != "application/json"
    ):
        raise AppError(Kind.UNSUPPORTED, "NOT_JSON", "Send application/json.")


def content_type_of(request: AnyRequest) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def form_field(request: AnyRequest, name: str) -> str:
    """A text field of the form, empty where it is missing.

    Raises AppError (400) where it is given twice or is a file: which one is meant can't be told.
    """
    values = (await request.form()).getall(name, [])
    if len(values) > 1 or not all(isinstance(value, str) for value in values):
        raise invalid(f"The field {name} is needed once.", Issue(name, "is needed once, as text"))
    return str(values[0]) if values else ""


def token_of(request: AnyRequest, session: Session | None) -> str:
    """The token for the page's forms: that of the cookie where it holds, else a new one."""
    secret, bound_to = services_of(request).csrf_secret, _bound_to(session)
    token = cookie_of(request, COOKIE)
    if token is not None and csrf.is_valid(secret, bound_to, token):
        return token
    return csrf.make_token(secret, bound_to)


def token_cookie(request: AnyRequest, token: str) -> Cookie:
    """Readable by our own scripts, which send it back as a header."""
    return make_cookie(request, COOKIE, token, httponly=False)


async def _sent_token(request: AnyRequest) -> str | None:
    headers = request.headers.getall(HEADER, [])
    if headers:
        return headers[0] if len(headers) == 1 else None
    return await form_field(request, FIELD) if content_type_of(request) in FORMS else None


def _bound_to(session: Session | None) -> str:
    return NO_SESSION if session is None else session.id


def _invalid() -> AppError:
    return AppError(
        Kind.FORBIDDEN, "CSRF_INVALID", "The form's token is missing or out of date; reload."
    )

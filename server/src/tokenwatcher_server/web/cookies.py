"""Reading and setting cookies: one value or none, and the attributes that all of ours have."""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from tokenwatcher_server.access.sessions import LIFETIME_SECONDS
from tokenwatcher_server.web.client_address import is_https
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
HOST_PREFIX = "__Host-"


def cookie_of(request: AnyRequest, name: str) -> str | None:
    """The value of a cookie of ours; None where it is missing, or comes with two values.

    A neighbouring site can plant a second cookie of the same name: which one is ours can't be
    told, so neither is taken.
    """
    pairs = (
        pair.partition("=")
        for header in request.headers.getall("cookie", [])
        for pair in header.split(";")
    )
    values = {value.strip() for key, _, value in pairs if key.strip() == name}
    return values.pop() if len(values) == 1 else None


def session_cookie_name(request: AnyRequest) -> str:
    """Over HTTPS with `__Host-` before it: then no neighbouring site can plant one."""
    settings = services_of(request).settings
    name = settings.dashboard_session_cookie_name
    if name.startswith(HOST_PREFIX) or not is_https(request, settings.trusted_proxies):
        return name
    return f"{HOST_PREFIX}{name}"


def make_cookie(
    request: AnyRequest,
    name: str,
    value: str,
    *,
    httponly: bool,
    seconds: int = LIFETIME_SECONDS,
) -> Cookie:
    """A cookie for this site alone, as long-lived as a session, and secure over HTTPS.

    One that lives for 0 seconds takes the one of its name away.
    """
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=seconds,
        httponly=httponly,
        samesite="lax",
        secure=is_https(request, services_of(request).settings.trusted_proxies),
    )

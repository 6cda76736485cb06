"""How a page is answered: whole, its main column alone, or "what you have is still true"."""

import hashlib

import msgspec
from litestar import Response

from tokenwatcher_server.kernel.clock import MICROSECONDS
from tokenwatcher_server.web.cookies import cookie_of
from tokenwatcher_server.web.csrf import COOKIE, token_cookie
from tokenwatcher_server.web.pages.viewer import AnyRequest, Viewer
from tokenwatcher_server.web.render import render
from tokenwatcher_server.web.services import services_of

MINUTE_US = 60 * MICROSECONDS


class Moment(msgspec.Struct, frozen=True):
    """The instant a page is made for, and a mark of everything that page depends on.

    `now_us` is a whole minute: a page on which nothing happens stays as it is for that long.
    """

    now_us: int
    tag: str | None
    """The ETag; None where the store can't say whether anything changed."""


async def moment_of(request: AnyRequest, viewer: Viewer, about: object = None) -> Moment:
    """Known before any question is asked, so that a page without news costs next to nothing.

    `about` is what the page depends on beside the events and the viewer.
    """
    services = services_of(request)
    now_us = services.clock.now_us()
    minute = now_us - now_us % MINUTE_US
    commits = (await services.store.statistics()).get("commits")
    if commits is None:
        return Moment(minute, None)
    parts = (
        commits,
        minute,
        request.scope["path"],
        request.scope["query_string"],
        _wants_fragment(request),
        msgspec.structs.astuple(viewer.frame),
        viewer.workspaces,
        viewer.projects,
        viewer.environments,
        about,
    )
    return Moment(minute, f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"')


def unchanged(request: AnyRequest, moment: Moment) -> Response[str] | None:
    """304 where the page that asks again has what it would get; None where it must be made."""
    if moment.tag is None or request.headers.get("if-none-match") != moment.tag:
        return None
    return Response("", status_code=304, headers=_headers(moment), media_type="text/html")


def answer_page(
    request: AnyRequest, moment: Moment, template: str, viewer: Viewer, page: msgspec.Struct
) -> Response[str]:
    """The whole page, or its main column alone for a page that updates itself."""
    frame = msgspec.structs.replace(viewer.frame, fragment=_wants_fragment(request))
    body = render(template, frame, page)
    response = Response(body, media_type="text/html", headers=_headers(moment))
    if cookie_of(request, COOKIE) != frame.csrf_token:
        response.set_cookie(token_cookie(request, frame.csrf_token))
    return response


def _wants_fragment(request: AnyRequest) -> bool:
    return request.headers.get("hx-request-type") == "partial"


def _headers(moment: Moment) -> dict[str, str]:
    headers = {"Vary": "HX-Request-Type"}
    return headers if moment.tag is None else {**headers, "ETag": moment.tag}

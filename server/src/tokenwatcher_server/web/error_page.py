"""Errors for people: a browser gets a page that says what the JSON would."""

from typing import Any

from litestar import Request, Response

from tokenwatcher_server.web.errors import Problem
from tokenwatcher_server.web.frame import frame_of
from tokenwatcher_server.web.render import ErrorPage, render


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """True for a browser's own navigation; programs and the JSON API get problem+json."""
    if request.scope["path"].startswith(("/api/", "/v1/", "/local/")):
        return False
    return "text/html" in request.headers.get("accept", "")


def error_page(
    request: Request[Any, Any, Any], found: Problem, headers: dict[str, str]
) -> Response[str]:
    frame = frame_of(request, str(request.scope["path"]))
    return Response(
        render("error.html", frame, ErrorPage(found)),
        status_code=found.status,
        media_type="text/html",
        headers=headers,
    )

"""Who looks at a page, what they may see, and how a page is answered."""

import hashlib
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.response import Redirect

from tokenwatcher_server.access.principal import Principal, narrowed
from tokenwatcher_server.access.projects import list_projects
from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.usage.request import TAG, UsageRequest
from tokenwatcher_server.web.auth import CSRF_COOKIE, csrf_cookie, csrf_token_of, principal_of
from tokenwatcher_server.web.render import PageFrame, render, theme_of
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
Names = tuple[tuple[str, str], ...]
"""Ids, each with the name that people know it by."""
SIGN_IN = "/login"


class SignInNeeded(Exception):
    """Nobody is signed in; the page is for somebody."""


class Viewer(msgspec.Struct, frozen=True):
    frame: PageFrame
    principal: Principal
    workspaces: Names
    projects: Names

    def scope(self, request: UsageRequest) -> Scope:
        """What of it is asked for; raises AppError for what this viewer can't see."""
        known = {None, *(key for key, _ in self.projects)}
        if request.project_id not in known:
            raise not_found("There is no such project in what you may see.")
        return narrowed(self.principal.scope, request.workspace_id, request.project_id)


async def viewer_of(request: AnyRequest) -> Viewer:
    """Who looks. Raises SignInNeeded for nobody."""
    try:
        principal = await principal_of(request)
    except AppError as error:
        if error.kind is Kind.UNAUTHENTICATED:
            raise SignInNeeded from None
        raise
    workspaces, projects = await _names(request, principal.scope)
    frame = PageFrame(
        path=str(request.scope["path"]),
        theme=theme_of(request),
        user_name=principal.name,
        csrf_token=csrf_token_of(request, principal.session),
    )
    return Viewer(frame, principal, workspaces, projects)


async def _names(request: AnyRequest, scope: Scope) -> tuple[Names, Names]:
    """The workspaces and projects of a scope, by id and name."""
    async with services_of(request).database.reading() as connection:
        workspaces = await list_workspaces(connection)
        projects = await list_projects(connection)
    names = {one.id: one.name for one in workspaces if one.id in scope.workspaces}
    return tuple((key, name) for key, name in names.items()), tuple(
        (one.id, f"{names[one.workspace_id]} / {one.name}" if len(names) > 1 else one.name)
        for one in projects
        if one.workspace_id in names and (scope.projects is None or one.id in scope.projects)
    )


def parameters_of(request: AnyRequest) -> list[tuple[str, str]]:
    """The address's parameters, without the empty fields that a form sends along.

    A tag's value is kept: it may be empty text.
    """
    return [
        (name, value)
        for name, value in request.query_params.multi_items()
        if value or name.startswith(TAG)
    ]


def answer_page(
    request: AnyRequest, template: str, frame: PageFrame, page: msgspec.Struct
) -> Response[str]:
    """The whole page, or its main column alone for a page that updates itself.

    A page that asks again says what it has; where that is still true, the answer is 304.
    """
    fragment = request.headers.get("hx-request-type") == "partial"
    body = render(template, msgspec.structs.replace(frame, fragment=fragment), page)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Vary": "HX-Request-Type"}
    if request.headers.get("if-none-match") == tag:
        return Response("", status_code=304, headers=headers, media_type="text/html")
    response = Response(body, media_type="text/html", headers=headers)
    if request.cookies.get(CSRF_COOKIE) != frame.csrf_token:
        response.set_cookie(csrf_cookie(request, frame.csrf_token))
    return response


def to_sign_in(request: AnyRequest, _error: SignInNeeded) -> Response[Any]:
    """Send a browser to the sign-in page, and back to this address afterwards."""
    path = f"{request.scope['path']}?{request.scope['query_string'].decode('ascii', 'replace')}"
    address = f"{SIGN_IN}?next={quote(path.rstrip('?'), safe='/')}"
    if request.headers.get("hx-request") == "true":
        return Response("", status_code=401, headers={"HX-Redirect": address})
    return Redirect(address, status_code=303)

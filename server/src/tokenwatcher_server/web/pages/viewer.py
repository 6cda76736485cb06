"""Who looks at a page, and what they may see."""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.response import Redirect
from msgspec.structs import replace

from tokenwatcher_server.access.principal import Principal, narrowed
from tokenwatcher_server.access.projects import Project, list_projects
from tokenwatcher_server.access.workspaces import list_workspaces
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.usage.request import TAG, UsageRequest
from tokenwatcher_server.web.auth import SAFE_METHODS, SIGN_IN_AGAIN, principal_of
from tokenwatcher_server.web.csrf import token_of
from tokenwatcher_server.web.frame import frame_of
from tokenwatcher_server.web.render import NAV, NavGroup, PageFrame
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
Names = tuple[tuple[str, str], ...]
"""Ids, each with the name that people know it by."""
SIGN_IN = "/login"


class SignInNeeded(Exception):
    """Nobody is signed in, or too long ago for this; the page is for somebody who is."""

    def __init__(self, *, again: bool) -> None:
        super().__init__()
        self.again = again


class Viewer(msgspec.Struct, frozen=True):
    frame: PageFrame
    principal: Principal
    workspaces: Names
    projects: Names
    environments: tuple[tuple[ProjectId, str], ...]
    homes: tuple[tuple[ProjectId, WorkspaceId], ...]
    """The workspace of each project."""

    def scope(self, request: UsageRequest) -> Scope:
        """What of it is asked for; raises AppError for what this viewer can't see."""
        known = {None, *(key for key, _ in self.projects)}
        if request.project_id not in known:
            raise not_found("There is no such project in what you may see.")
        scope = narrowed(self.principal.scope, request.workspace_id, request.project_id)
        return replace(scope, environments=self.environments)


async def viewer_of(request: AnyRequest) -> Viewer:
    """Who looks. Raises SignInNeeded for nobody, or one who has to sign in again."""
    try:
        principal = await principal_of(request)
    except AppError as error:
        if error.kind is Kind.UNAUTHENTICATED:
            raise SignInNeeded(again=error.code == SIGN_IN_AGAIN) from None
        raise
    workspaces, projects = await _visible(request, principal.scope)
    names = dict(workspaces)
    frame = frame_of(
        request,
        str(request.scope["path"]),
        user_name=principal.name,
        csrf_token=token_of(request, principal.session),
        nav=_nav(principal),
    )
    return Viewer(
        frame,
        principal,
        workspaces,
        projects=tuple(
            (one.id, f"{names[one.workspace_id]} / {one.name}" if len(names) > 1 else one.name)
            for one in projects
        ),
        environments=tuple((one.id, one.environment) for one in projects),
        homes=tuple((one.id, one.workspace_id) for one in projects),
    )


def _nav(principal: Principal) -> tuple[NavGroup, ...]:
    """The pages that this viewer has anything to do on."""
    return tuple(
        replace(group, entries=tuple(one for one in group.entries if principal.may(one.right)))
        for group in NAV
    )


async def _visible(request: AnyRequest, scope: Scope) -> tuple[Names, list[Project]]:
    """The workspaces of a scope, by id and name, and its projects."""
    async with services_of(request).database.reading() as connection:
        workspaces = await list_workspaces(connection)
        projects = await list_projects(connection)
    names = tuple((one.id, one.name) for one in workspaces if one.id in scope.workspaces)
    return names, [
        one
        for one in projects
        if one.workspace_id in scope.workspaces
        and (scope.projects is None or one.id in scope.projects)
    ]


def parameters_of(request: AnyRequest) -> list[tuple[str, str]]:
    """The address's parameters, without the empty fields that a form sends along.

    A tag's value is kept: it may be empty text.
    """
    return [
        (name, value)
        for name, value in request.query_params.multi_items()
        if value or name.startswith(TAG)
    ]


def to_sign_in(request: AnyRequest, *, again: bool) -> Response[Any]:
    """Send a browser to the sign-in page, and back afterwards: here, or to the form's page."""
    path = f"{request.scope['path']}?{request.scope['query_string'].decode('ascii', 'replace')}"
    if request.method not in SAFE_METHODS:
        path = "/" + path.split("/")[1]
    address = f"{SIGN_IN}?next={quote(path.rstrip('?'), safe='/')}{'&again=1' if again else ''}"
    if request.headers.get("hx-request") == "true":
        return Response("", status_code=401, headers={"HX-Redirect": address})
    return Redirect(address, status_code=303)

"""`/projects`: workspaces and their projects, what each costs, and how they are changed."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from msgspec.structs import replace

from tokenwatcher_server.access.projects import ENVIRONMENTS
from tokenwatcher_server.access.workspaces import DEFAULT
from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.retention.keeping import MOST_DAYS
from tokenwatcher_server.usage.report import report
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.result import NOTHING, Totals
from tokenwatcher_server.usage.stats import question
from tokenwatcher_server.web.api import keys as keys_api
from tokenwatcher_server.web.api import projects as projects_api
from tokenwatcher_server.web.api import workspaces as workspaces_api
from tokenwatcher_server.web.api.keys import ManyKeys
from tokenwatcher_server.web.api.projects import (
    ManyProjects,
    ProjectBody,
    ProjectChange,
    ProjectView,
)
from tokenwatcher_server.web.api.workspaces import (
    ManyWorkspaces,
    WorkspaceBody,
    WorkspaceChange,
    WorkspaceView,
)
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import action, back_to, body_of, fields_of
from tokenwatcher_server.web.pages.links import OVERVIEW, PROJECTS, address
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

KEPT = ("keepEventsDays", "keepPromptsDays")
"""Fields of days; an empty one is for ever."""


class ProjectRow(msgspec.Struct, frozen=True):
    project: ProjectView
    totals: Totals
    keys: int
    href: str


class WorkspaceCard(msgspec.Struct, frozen=True):
    workspace: WorkspaceView
    projects: tuple[ProjectRow, ...]
    href: str
    edits: bool
    """Whether the viewer may change the workspace, remove it, change its projects."""
    removes: bool
    edits_projects: bool


class ProjectsPage(msgspec.Struct, frozen=True):
    workspaces: tuple[WorkspaceCard, ...]
    environments: tuple[str, ...]
    days: int
    most_days: int
    stores_prompts: bool
    makes: bool
    """Whether the viewer may make workspaces."""


@get(PROJECTS, include_in_schema=False)
async def projects_page(request: AnyRequest) -> Response[str]:
    services, viewer = services_of(request), await viewer_of(request)
    now_us = services.clock.now_us()
    last_month = UsageRequest()
    asked = question(last_month, viewer.scope(last_month), now_us)
    answers = await report(
        services.store, {"projects": replace(asked, group_by=(Dimension("project"),))}
    )
    spent = {line.group[0]: line.totals for line in answers["projects"]}
    workspaces: ManyWorkspaces = await action(workspaces_api.list_workspaces)(
        request, viewer.principal
    )
    projects: ManyProjects = await action(projects_api.list_projects)(request, viewer.principal)
    keys: ManyKeys = await action(keys_api.list_keys)(request, viewer.principal)
    rows = [_row(project, spent, keys) for project in projects.projects]
    page = ProjectsPage(
        workspaces=tuple(_card(viewer, one, rows) for one in workspaces.workspaces),
        environments=ENVIRONMENTS,
        days=30,
        most_days=MOST_DAYS,
        stores_prompts=services.settings.store_prompts,
        makes=viewer.principal.may("workspaces.make"),
    )
    return answer_page(request, Moment(now_us, None), "projects.html", viewer, page)


@post("/workspaces", include_in_schema=False, right="workspaces.make")
async def create_workspace(request: AnyRequest) -> Response[Any]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), WorkspaceBody)
    await action(workspaces_api.create_workspace)(request, viewer.principal, body)
    return back_to(PROJECTS)


@post("/workspaces/{workspace_id:str}", include_in_schema=False, right="workspace.change")
async def change_workspace(request: AnyRequest, workspace_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    fields: dict[str, Any] = {**await fields_of(request)}
    fields |= {name: _days(fields.get(name)) for name in KEPT if name in await request.form()}
    body = body_of(fields, WorkspaceChange)
    await action(workspaces_api.change_workspace)(request, viewer.principal, workspace_id, body)
    return back_to(PROJECTS)


@post("/workspaces/{workspace_id:str}/remove", include_in_schema=False, right="workspace.remove")
async def remove_workspace(request: AnyRequest, workspace_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(workspaces_api.delete_workspace)(request, viewer.principal, workspace_id)
    return back_to(PROJECTS)


@post(PROJECTS, include_in_schema=False, right="projects.change")
async def create_project(request: AnyRequest) -> Response[Any]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), ProjectBody)
    await action(projects_api.create_project)(request, viewer.principal, body)
    return back_to(PROJECTS)


@post(f"{PROJECTS}/{{project_id:str}}", include_in_schema=False, right="projects.change")
async def change_project(request: AnyRequest, project_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), ProjectChange)
    await action(projects_api.change_project)(request, viewer.principal, project_id, body)
    return back_to(PROJECTS)


@post(f"{PROJECTS}/{{project_id:str}}/remove", include_in_schema=False, right="projects.change")
async def remove_project(request: AnyRequest, project_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(projects_api.delete_project)(request, viewer.principal, project_id)
    return back_to(PROJECTS)


def _days(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdecimal() else text


def _row(project: ProjectView, spent: Mapping[str | None, Totals], keys: ManyKeys) -> ProjectRow:
    usage = UsageRequest(project_id=ProjectId(project.id))
    held = [key for key in keys.api_keys if key.revoked_at is None]
    return ProjectRow(
        project=project,
        totals=spent.get(project.id, NOTHING),
        keys=sum(key.project_id == project.id for key in held),
        href=address(OVERVIEW, usage),
    )


def _card(viewer: Viewer, workspace: WorkspaceView, rows: list[ProjectRow]) -> WorkspaceCard:
    workspace_id, may = WorkspaceId(workspace.id), viewer.principal.may
    usage = UsageRequest(workspace_id=workspace_id)
    own = tuple(row for row in rows if row.project.workspace_id == workspace.id)
    return WorkspaceCard(
        workspace,
        own,
        href=address(OVERVIEW, usage),
        edits=may("workspace.change", workspace_id),
        removes=may("workspace.remove", workspace_id) and workspace.slug != DEFAULT,
        edits_projects=may("projects.change", workspace_id),
    )


ROUTES = (
    projects_page,
    create_workspace,
    change_workspace,
    remove_workspace,
    create_project,
    change_project,
    remove_project,
)

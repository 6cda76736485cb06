"""Projects, for a session; a read key sees its own."""

from typing import Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from tokenwatcher_server.access import projects as access
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.projects import Environment, Project
from tokenwatcher_server.access.workspaces import DEFAULT
from tokenwatcher_server.alerts.rules import delete_rules_of_project
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.usage.holds import holds_events
from tokenwatcher_server.web.api.workspaces import Name, visible
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


class ProjectBody(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: str
    name: Name
    environment: Environment = "production"


class ProjectChange(msgspec.Struct, frozen=True, rename="camel"):
    name: Name | None = None
    environment: Environment | None = None


class ProjectView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    workspace_id: str
    name: str
    slug: str
    environment: Environment
    created_at: str


class OneProject(msgspec.Struct, frozen=True):
    project: ProjectView


class ManyProjects(msgspec.Struct, frozen=True):
    projects: list[ProjectView]


def view(project: Project) -> ProjectView:
    return ProjectView(
        project.id,
        project.workspace_id,
        project.name,
        project.slug,
        project.environment,
        iso(project.created_at),
    )


def _entry(verb: str, project: Project, *, before: object = None, after: object = None) -> Entry:
    return Entry(
        action=f"project.{verb}",
        object_kind="project",
        object_name=project.name,
        object_id=project.id,
        workspace_id=project.workspace_id,
        before=before,
        after=after,
    )


def may_see(principal: Principal, project: Project) -> bool:
    scope = principal.scope
    return project.workspace_id in scope.workspaces and (
        scope.projects is None or project.id in scope.projects
    )


async def visible_project(request: AnyRequest, principal: Principal, project_id: str) -> Project:
    """The project, if the caller holds in its workspace what the route takes.

    Raises AppError: 404 for one that they don't see, 403 where their role is too low.
    """
    async with services_of(request).database.reading() as connection:
        found = await access.find_project(connection, project_id)
    if found is None or not may_see(principal, found):
        raise not_found("There is no such project in what you may see.")
    principal.check(found.workspace_id)
    return found


@get("/api/projects", summary="The projects you may see, of one workspace or of all")
async def list_projects(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
) -> ManyProjects:
    wanted = None if workspaceId is None else WorkspaceId(workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await access.list_projects(connection, wanted)
    return ManyProjects([view(project) for project in found if may_see(principal, project)])


@post("/api/projects", summary="Make a project", right="projects.change")
async def create_project(
    request: AnyRequest, principal: Caller, data: JSONBody[ProjectBody]
) -> OneProject:
    services = services_of(request)
    workspace = await visible(request, principal, data.workspace_id)
    async with services.database.transaction() as connection:
        made = await access.create_project(
            connection, workspace.id, data.name, data.environment, services.clock.now_us()
        )
        await note(connection, request, principal, _entry("create", made, after=view(made)))
    return OneProject(view(made))


@get("/api/projects/{project_id:str}", summary="One project")
async def one_project(
    request: AnyRequest, principal: Caller, project_id: FromPath[str]
) -> OneProject:
    return OneProject(view(await visible_project(request, principal, project_id)))


@patch(
    "/api/projects/{project_id:str}",
    summary="Change a project's name or environment",
    right="projects.change",
)
async def change_project(
    request: AnyRequest,
    principal: Caller,
    project_id: FromPath[str],
    data: JSONBody[ProjectChange],
) -> OneProject:
    found = await visible_project(request, principal, project_id)
    async with services_of(request).database.transaction() as connection:
        await access.change_project(
            connection, found.id, name=data.name, environment=data.environment
        )
        changed = await access.find_project(connection, found.id) or found
        entry = _entry("change", changed, before=view(found), after=view(changed))
        await note(connection, request, principal, entry)
    return OneProject(view(changed))


@delete(
    "/api/projects/{project_id:str}",
    summary="Remove a project that holds nothing",
    right="projects.change",
)
async def delete_project(request: AnyRequest, principal: Caller, project_id: FromPath[str]) -> None:
    services = services_of(request)
    found = await visible_project(request, principal, project_id)
    scope = Scope((found.workspace_id,), (found.id,))
    if found.slug == DEFAULT or await holds_events(services.store, scope, services.clock.now_us()):
        raise AppError(
            Kind.CONFLICT, "STILL_IN_USE", "A project that has events, or is the default, stays."
        )
    async with services.database.transaction() as connection:
        await access.delete_project(connection, found.id)
        await delete_rules_of_project(connection, found.workspace_id, found.id)
        await note(connection, request, principal, _entry("remove", found, before=view(found)))
    services.projects.forget()
    services.keys.forget()


ROUTES = (list_projects, create_project, one_project, change_project, delete_project)

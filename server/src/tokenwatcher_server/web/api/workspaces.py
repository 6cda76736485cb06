"""Workspaces, for a session; a read key sees its own."""

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from tokenwatcher_server.access import workspaces as access
from tokenwatcher_server.access.members import add_member
from tokenwatcher_server.access.names import LONGEST
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.access.workspaces import Workspace
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.retention.keeping import MOST_DAYS, keep
from tokenwatcher_server.usage.holds import holds_events
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
Days = Annotated[int, Meta(ge=1, le=MOST_DAYS)]


class WorkspaceBody(msgspec.Struct, frozen=True):
    name: Name


class WorkspaceChange(msgspec.Struct, frozen=True, rename="camel"):
    """What is left out stays as it is; no days are for ever, or for prompts as long as events."""

    name: Name | UnsetType = UNSET
    keep_events_days: Days | UnsetType | None = UNSET
    keep_prompts_days: Days | UnsetType | None = UNSET
    timezone: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET


class WorkspaceView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    name: str
    slug: str
    created_at: str
    keep_events_days: int | None
    keep_prompts_days: int | None
    timezone: str


class OneWorkspace(msgspec.Struct, frozen=True):
    workspace: WorkspaceView


class ManyWorkspaces(msgspec.Struct, frozen=True):
    workspaces: list[WorkspaceView]


def view(workspace: Workspace) -> WorkspaceView:
    return WorkspaceView(
        workspace.id,
        workspace.name,
        workspace.slug,
        iso(workspace.created_at),
        workspace.keep_events_days,
        workspace.keep_prompts_days,
        workspace.timezone,
    )


def _entry(
    verb: str, workspace: Workspace, *, before: object = None, after: object = None
) -> Entry:
    return Entry(
        action=f"workspace.{verb}",
        object_kind="workspace",
        object_name=workspace.name,
        object_id=workspace.id,
        workspace_id=workspace.id,
        before=before,
        after=after,
    )


async def visible(request: AnyRequest, principal: Principal, workspace_id: str) -> Workspace:
    """The workspace, if the caller holds there what the route takes.

    Raises AppError: 404 for one that they don't see, 403 where their role is too low.
    """
    async with services_of(request).database.reading() as connection:
        found = await access.find_workspace(connection, workspace_id)
    if found is None or found.id != workspace_id:
        raise not_found("There is no such workspace in what you may see.")
    principal.check(found.id)
    return found


async def asked_workspaces(
    request: AnyRequest, principal: Principal, workspace_id: str | None
) -> tuple[WorkspaceId, ...]:
    """The one that is asked for, else all where the caller holds what the route takes.

    Raises AppError as `visible` does.
    """
    if workspace_id is None:
        return principal.holding()
    return ((await visible(request, principal, workspace_id)).id,)


@get("/api/workspaces", summary="The workspaces you may see")
async def list_workspaces(request: AnyRequest, principal: Caller) -> ManyWorkspaces:
    async with services_of(request).database.reading() as connection:
        found = await access.list_workspaces(connection)
    return ManyWorkspaces([view(one) for one in found if one.id in principal.scope.workspaces])


@post(
    "/api/workspaces",
    summary="Make a workspace with its default project",
    right="workspaces.make",
)
async def create_workspace(
    request: AnyRequest,
    principal: Caller,
    data: JSONBody[WorkspaceBody],
) -> OneWorkspace:
    services = services_of(request)
    async with services.database.transaction() as connection:
        now_us = services.clock.now_us()
        made = await access.create_workspace(connection, data.name, now_us)
        if principal.session is not None:
            await add_member(connection, made.id, principal.session.user.id, "owner", now_us)
        await note(
            connection, request, principal, _entry("create", made, after={"name": made.name})
        )
    return OneWorkspace(view(made))


@get("/api/workspaces/{workspace_id:str}", summary="One workspace")
async def one_workspace(
    request: AnyRequest, principal: Caller, workspace_id: FromPath[str]
) -> OneWorkspace:
    return OneWorkspace(view(await visible(request, principal, workspace_id)))


@patch(
    "/api/workspaces/{workspace_id:str}",
    summary="Change a workspace's name, its time zone, or how long it keeps events and prompts",
    right="workspace.change",
)
async def change_workspace(
    request: AnyRequest,
    principal: Caller,
    workspace_id: FromPath[str],
    data: JSONBody[WorkspaceChange],
) -> OneWorkspace:
    found = await visible(request, principal, workspace_id)
    async with services_of(request).database.transaction() as connection:
        if data.name is not UNSET:
            await access.rename_workspace(connection, found.id, data.name)
        if not isinstance(data.timezone, UnsetType):
            await access.set_timezone(connection, found.id, data.timezone)
        await keep(
            connection,
            found.id,
            events_days=_given(data.keep_events_days, found.keep_events_days),
            prompts_days=_given(data.keep_prompts_days, found.keep_prompts_days),
        )
        changed = await access.find_workspace(connection, found.id) or found
        entry = _entry("change", found, before=view(found), after=view(changed))
        await note(connection, request, principal, entry)
    return OneWorkspace(view(changed))


def _given(days: int | UnsetType | None, present: int | None) -> int | None:
    return present if days is UNSET else days


@delete(
    "/api/workspaces/{workspace_id:str}",
    summary="Remove a workspace that holds nothing",
    right="workspace.remove",
)
async def delete_workspace(
    request: AnyRequest, principal: Caller, workspace_id: FromPath[str]
) -> None:
    services = services_of(request)
    found = await visible(request, principal, workspace_id)
    now_us = services.clock.now_us()
    if found.slug == access.DEFAULT or await holds_events(
        services.store, Scope((found.id,)), now_us
    ):
        raise AppError(
            Kind.CONFLICT, "STILL_IN_USE", "A workspace that has events, or is the default, stays."
        )
    async with services.database.transaction() as connection:
        await access.delete_workspace(connection, found.id)
        await note(connection, request, principal, _entry("remove", found, before=view(found)))
    services.projects.forget()
    services.keys.forget()


ROUTES = (list_workspaces, create_workspace, one_workspace, change_workspace, delete_workspace)

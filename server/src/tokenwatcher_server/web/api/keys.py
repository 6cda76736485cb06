"""API keys: the raw key is in the answer that makes it, and nowhere after."""

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from tokenwatcher_server.access import key_changes as changes
from tokenwatcher_server.access import keys as access
from tokenwatcher_server.access.key_changes import (
    MOST_DAYS,
    MOST_OVERLAP_HOURS,
    USUAL_OVERLAP_HOURS,
)
from tokenwatcher_server.access.keys import KeyKind, KeyRecord
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import Issue, invalid, not_found
from tokenwatcher_server.web.api.projects import visible_project
from tokenwatcher_server.web.api.workspaces import Name, visible
from tokenwatcher_server.web.audit import actor_of
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
WARNING = "This is the only time the key is shown. Store it now."


class KeyBody(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: str
    project_id: str | None = None
    name: Name = "API key"
    kind: KeyKind = "live"
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] | None = None


class Rotation(msgspec.Struct, frozen=True, rename="camel"):
    """For how long the old key still holds beside the new one."""

    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=MOST_OVERLAP_HOURS)] = USUAL_OVERLAP_HOURS


class KeyChange(msgspec.Struct, frozen=True):
    name: Name


class KeyView(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    name: str
    kind: KeyKind
    key_prefix: str
    workspace_id: str
    project_id: str | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None
    expires_at: str | None = None
    replaced_by: str | None = None


class OneKey(msgspec.Struct, frozen=True, rename="camel"):
    api_key: KeyView


class ManyKeys(msgspec.Struct, frozen=True, rename="camel"):
    api_keys: list[KeyView]


class NewKeyAnswer(msgspec.Struct, frozen=True, rename="camel"):
    api_key: KeyView
    raw_key: str
    warning: str


def view(record: KeyRecord) -> KeyView:
    return KeyView(
        id=record.id,
        name=record.name,
        kind=record.kind,
        key_prefix=record.key_prefix,
        workspace_id=record.workspace_id,
        project_id=record.project_id,
        created_at=iso(record.created_at),
        last_used_at=None if record.last_used_at is None else iso(record.last_used_at),
        revoked_at=None if record.revoked_at is None else iso(record.revoked_at),
        expires_at=None if record.expires_at is None else iso(record.expires_at),
        replaced_by=record.replaced_by,
    )


def _may_see(principal: Principal, record: KeyRecord) -> bool:
    scope = principal.scope
    return record.workspace_id in scope.workspaces and (
        scope.projects is None or record.project_id in scope.projects
    )


async def _visible(request: AnyRequest, principal: Principal, key_id: str) -> KeyRecord:
    async with services_of(request).database.reading() as connection:
        found = await access.find_key(connection, key_id)
    if found is None or not _may_see(principal, found):
        raise not_found("There is no such key in what you may see.")
    principal.check(found.workspace_id)
    return found


@get("/api/api-keys", summary="The keys you may see, by their prefix")
async def list_keys(request: AnyRequest, principal: Caller) -> ManyKeys:
    async with services_of(request).database.reading() as connection:
        found = await access.list_keys(connection)
    return ManyKeys([view(record) for record in found if _may_see(principal, record)])


@post("/api/api-keys", summary="Make a key; its raw form is shown this once", right="keys.change")
async def create_key(
    request: AnyRequest, principal: Caller, data: JSONBody[KeyBody]
) -> NewKeyAnswer:
    services = services_of(request)
    workspace = await visible(request, principal, data.workspace_id)
    project = None
    if data.project_id is not None:
        project = await visible_project(request, principal, data.project_id)
        if project.workspace_id != workspace.id:
            message = "is not in that workspace"
            raise invalid(f"The project {message}.", Issue("projectId", message))
    async with services.database.transaction() as connection:
        made = await changes.make(
            connection,
            actor_of(request, principal),
            workspace_id=workspace.id,
            project_id=project.id if project else None,
            name=data.name,
            kind=data.kind,
            now_us=services.clock.now_us(),
            expires_in_days=data.expires_in_days,
        )
    services.keys.forget()
    return NewKeyAnswer(view(made.record), made.raw, WARNING)


@post("/api/api-keys/{key_id:str}/rotate", summary="Make a key's successor; the key itself ends "
      "after the overlap", right="keys.change")  # fmt: skip
async def rotate_key(
    request: AnyRequest, principal: Caller, key_id: FromPath[str], data: JSONBody[Rotation]
) -> NewKeyAnswer:
    services, actor = services_of(request), actor_of(request, principal)
    key = await _visible(request, principal, key_id)
    async with services.database.transaction() as connection:
        made = await changes.rotate(
            connection, actor, key, data.overlap_hours, services.clock.now_us()
        )
    services.keys.forget()
    return NewKeyAnswer(view(made.record), made.raw, WARNING)


@patch("/api/api-keys/{key_id:str}", summary="Give a key another name", right="keys.change")
async def rename_key(
    request: AnyRequest, principal: Caller, key_id: FromPath[str], data: JSONBody[KeyChange]
) -> OneKey:
    services, actor = services_of(request), actor_of(request, principal)
    key = await _visible(request, principal, key_id)
    async with services.database.transaction() as connection:
        await changes.rename(connection, actor, key, data.name, services.clock.now_us())
    return OneKey(view(await _visible(request, principal, key_id)))


@delete("/api/api-keys/{key_id:str}", summary="Revoke a key, at once", right="keys.change")
async def revoke_key(request: AnyRequest, principal: Caller, key_id: FromPath[str]) -> None:
    services, actor = services_of(request), actor_of(request, principal)
    key = await _visible(request, principal, key_id)
    async with services.database.transaction() as connection:
        await changes.revoke(connection, actor, key, services.clock.now_us())
    services.keys.forget()


ROUTES = (list_keys, create_key, rotate_key, rename_key, revoke_key)

"""API keys: the raw key is in the answer that makes it, and nowhere after."""

from typing import Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, JSONBody

from tokenwatcher_server.access import keys as access
from tokenwatcher_server.access.keys import KeyKind, KeyRecord
from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import Issue, invalid, not_found
from tokenwatcher_server.web.api.projects import visible_project
from tokenwatcher_server.web.api.workspaces import Name, visible
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
WARNING = "This is the only time the key is shown. Store it now."


class KeyBody(msgspec.Struct, frozen=True, rename="camel"):
    workspace_id: str
    project_id: str | None = None
    name: Name = "API key"
    kind: KeyKind = "live"


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
        made = await access.create_key(
            connection,
            workspace_id=workspace.id,
            project_id=project.id if project else None,
            name=data.name,
            kind=data.kind,
            now_us=services.clock.now_us(),
        )
    services.keys.forget()
    return NewKeyAnswer(view(made.record), made.raw, WARNING)


@patch("/api/api-keys/{key_id:str}", summary="Give a key another name", right="keys.change")
async def rename_key(
    request: AnyRequest, principal: Caller, key_id: FromPath[str], data: JSONBody[KeyChange]
) -> OneKey:
    await _visible(request, principal, key_id)
    async with services_of(request).database.transaction() as connection:
        await access.rename_key(connection, key_id, data.name)
    return OneKey(view(await _visible(request, principal, key_id)))


@delete("/api/api-keys/{key_id:str}", summary="Revoke a key, at once", right="keys.change")
async def revoke_key(request: AnyRequest, principal: Caller, key_id: FromPath[str]) -> None:
    services = services_of(request)
    await _visible(request, principal, key_id)
    async with services.database.transaction() as connection:
        await access.revoke_key(connection, key_id, services.clock.now_us())
    services.keys.forget()


ROUTES = (list_keys, create_key, rename_key, revoke_key)

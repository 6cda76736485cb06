"""`GET /api/audit-log`: who changed what, for those who run a workspace, or the instance."""

from typing import Any

import msgspec
from litestar import Request, get

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.control.audit import ActorKind, Question, Written, find_entries
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.usage.parameters import Reader
from tokenwatcher_server.usage.request import UsageRequest, parse_with
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.cursor import encode_place, read_cursor
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
MOST_ENTRIES = 500
DEFAULT_ENTRIES = 50


class ActorView(msgspec.Struct, frozen=True):
    kind: ActorKind
    id: str | None
    name: str


class EntryView(msgspec.Struct, frozen=True, rename="camel"):
    """One change: `before` and `after` hold what changed, without secrets."""

    id: str
    at: str
    actor: ActorView
    address: str | None
    action: str
    object_kind: str
    object_id: str | None
    object_name: str
    workspace_id: str | None
    before: Any
    after: Any
    request_id: str | None


class AuditAnswer(msgspec.Struct, frozen=True, rename="camel"):
    entries: list[EntryView]
    next_cursor: str | None


class AuditRequest(msgspec.Struct, frozen=True):
    """What an address asks of the log; `usage` has its period, its zone and its workspace."""

    usage: UsageRequest
    action: str | None
    object_kind: str | None
    object_id: str | None
    actor: str | None
    before: tuple[int, str] | None
    limit: int


def parse_audit_request(parameters: list[tuple[str, str]]) -> AuditRequest:
    """Raises AppError naming what is wrong."""
    reader = Reader(parameters)
    asked = AuditRequest(
        usage=parse_with(reader),
        action=reader.one("action", 50),
        object_kind=reader.one("objectKind", 20),
        object_id=reader.one("objectId", 64),
        actor=reader.one("actor", 200),
        before=read_cursor(reader),
        limit=reader.whole("limit", 1, MOST_ENTRIES, DEFAULT_ENTRIES),
    )
    reader.finish()
    return asked


async def entries_for(
    request: AnyRequest, principal: Principal, asked: AuditRequest
) -> list[Written]:
    """The entries that are asked for, of what this caller may see the log of.

    Raises AppError: 403 for who runs nothing, 404 for a workspace they don't see.
    """
    services = services_of(request)
    workspaces: tuple[str, ...] | None = principal.holding()
    if asked.usage.workspace_id is not None:
        principal.check(asked.usage.workspace_id)
        workspaces = (asked.usage.workspace_id,)
    elif principal.owns_instance:
        workspaces = None
    period = asked.usage.period(services.clock.now_us())
    question = Question(
        workspaces=workspaces,
        start_us=period.start_us,
        end_us=period.end_us,
        action=asked.action,
        object_kind=asked.object_kind,
        object_id=asked.object_id,
        actor=asked.actor,
        before=asked.before,
        limit=asked.limit,
    )
    async with services.database.reading() as connection:
        return await find_entries(connection, question)


def next_cursor(asked: AuditRequest, found: list[Written]) -> str | None:
    """Where the next page begins, None where this is the last."""
    return encode_place(found[-1].at, found[-1].id) if len(found) == asked.limit else None


@get("/api/audit-log", summary="Who changed what, newest first", right="audit.see")
async def audit_log(request: AnyRequest, principal: Caller) -> AuditAnswer:
    """Takes `action`, `objectKind`, `objectId`, `actor` (a name), `workspaceId`, `limit`, `cursor`.

    Also `days`, or `from` and `to`, as `/api/stats` takes them. Who owns the instance also gets what concerns no workspace, such as sign-ins.
    """
    asked = parse_audit_request(list(request.query_params.multi_items()))
    found = await entries_for(request, principal, asked)
    return AuditAnswer([_view(one) for one in found], next_cursor(asked, found))


def _view(written: Written) -> EntryView:
    entry, actor = written.entry, written.actor
    return EntryView(
        id=written.id,
        at=iso(written.at),
        actor=ActorView(actor.kind, actor.id, actor.name),
        address=actor.address,
        action=entry.action,
        object_kind=entry.object_kind,
        object_id=entry.object_id,
        object_name=entry.object_name,
        workspace_id=entry.workspace_id,
        before=entry.before,
        after=entry.after,
        request_id=actor.request_id,
    )


ROUTES = (audit_log,)

"""`/audit-log`: who changed what, from where, newest first."""

import msgspec
from litestar import Response, get

from tokenwatcher_server.control.audit import Written
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.usage.text import count
from tokenwatcher_server.web.api.audit import (
    AuditRequest,
    entries_for,
    next_cursor,
    parse_audit_request,
)
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.audit_text import (
    KINDS,
    WHO,
    Change,
    actor_name,
    changes,
    named,
    phrase,
)
from tokenwatcher_server.web.pages.controls import Choice, Controls, controls, scope_pickers
from tokenwatcher_server.web.pages.links import AUDIT_LOG, Pairs, address, kept
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    at: str
    actor: str
    actor_note: str
    """What kind of actor it is, where it is no person."""
    phrase: str
    name: str
    workspace: str
    refused: bool
    address: str
    changes: tuple[Change, ...]
    request_id: str


class AuditPage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    rows: tuple[EntryRow, ...]
    kinds: tuple[Choice, ...]
    actor: str
    object_id: str
    search_kept: Pairs
    older: str | None
    newest: str | None
    """The first page; None where it is shown."""
    filtered: bool


@get(AUDIT_LOG, include_in_schema=False, right="audit.see")
async def audit_page(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    asked = parse_audit_request(parameters_of(request))
    found = await entries_for(request, viewer.principal, asked)
    now_us = services_of(request).clock.now_us()
    page = audit_of(viewer, asked, found, now_us)
    return answer_page(request, Moment(now_us, None), "audit.html", viewer, page)


def audit_of(viewer: Viewer, asked: AuditRequest, found: list[Written], now_us: int) -> AuditPage:
    usage, extra = asked.usage, _extra(asked)
    pickers = scope_pickers(AUDIT_LOG, usage, viewer.workspaces, (), extra)
    older = next_cursor(asked, found)
    names = dict(viewer.workspaces)
    return AuditPage(
        controls=controls(AUDIT_LOG, usage, usage.period(now_us), pickers, extra),
        lede=_lede(found, asked),
        rows=tuple(_row(one, names) for one in found),
        kinds=tuple(Choice(kind, label, kind == (asked.object_kind or ""))
                    for kind, label in KINDS.items()),
        actor=asked.actor or "",
        object_id=asked.object_id or "",
        search_kept=kept(usage),
        older=None if older is None else address(AUDIT_LOG, usage, (*extra, ("cursor", older))),
        newest=None if asked.before is None else address(AUDIT_LOG, usage, extra),
        filtered=bool(extra),
    )  # fmt: skip


def _lede(found: list[Written], asked: AuditRequest) -> str:
    if not found:
        return "No changes in this period"
    if len(found) == asked.limit or asked.before is not None:
        return "Every change, newest first; nobody can alter or remove a line"
    changed = "1 change" if len(found) == 1 else f"{count(len(found))} changes"
    return f"{changed} in this period; nobody can alter or remove a line"


def _extra(asked: AuditRequest) -> Pairs:
    """What the page's addresses hold besides the period and the workspace."""
    given = (
        ("action", asked.action),
        ("objectKind", asked.object_kind),
        ("objectId", asked.object_id),
        ("actor", asked.actor),
    )
    return tuple((name, value) for name, value in given if value is not None)


def _row(written: Written, workspaces: dict[str, str]) -> EntryRow:
    entry, actor = written.entry, written.actor
    in_workspace = entry.workspace_id is not None and entry.object_kind != "workspace"
    return EntryRow(
        id=written.id,
        at=iso(written.at),
        actor=actor_name(actor),
        actor_note=WHO[actor.kind],
        phrase=phrase(entry),
        name=named(entry),
        workspace=workspaces.get(entry.workspace_id or "", "") if in_workspace else "",
        refused=entry.action == "session.refuse",
        address=actor.address or "",
        changes=changes(entry),
        request_id=actor.request_id or "",
    )


ROUTES = (audit_page,)

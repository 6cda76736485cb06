"""`/keys`: the keys that apps send with; each is shown once, and can be revoked at any time."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.access.key_changes import USUAL_OVERLAP_HOURS
from tokenwatcher_server.access.keys import KINDS
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api import keys as api
from tokenwatcher_server.web.api.keys import KeyBody, KeyView, ManyKeys, NewKeyAnswer, Rotation
from tokenwatcher_server.web.client_address import own_address
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.controls import Choice
from tokenwatcher_server.web.pages.forms import action, back_to, body_of, fields_of
from tokenwatcher_server.web.pages.links import KEYS
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

KIND_LABELS = {
    "live": "live: sends events",
    "test": "test: sends events, from tests",
    "dev": "dev: sends events, from a developer's machine",
    "read": "read: only asks for usage",
}


LIFETIMES = (("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"))
OVERLAPS = (
    ("24", "a day"),
    ("168", "a week"),
    ("720", "30 days"),
    ("1", "an hour"),
    ("0", "no time"),
)


class KeyRow(msgspec.Struct, frozen=True):
    key: KeyView
    scope: str
    mine: bool
    """Whether the viewer may revoke it."""
    ended: str | None
    """When it was revoked or expired."""


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made: this page is the only one to show it."""

    raw: str
    name: str
    reads: bool


class KeysPage(msgspec.Struct, frozen=True):
    endpoint: str
    held: tuple[KeyRow, ...]
    ended: tuple[KeyRow, ...]
    scopes: tuple[Choice, ...]
    kinds: tuple[Choice, ...]
    lifetimes: tuple[tuple[str, str], ...]
    overlaps: tuple[tuple[str, str], ...]
    made: NewKey | None = None


@get(KEYS, include_in_schema=False)
async def keys_page(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    return await _answer(request, viewer)


@post(KEYS, include_in_schema=False, status_code=200, right="keys.change")
async def create_key(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    made = await make_key(request, viewer, await fields_of(request))
    new = NewKey(made.raw_key, made.api_key.name, made.api_key.kind == "read")
    return await _answer(request, viewer, new)


@post(f"{KEYS}/{{key_id:str}}/revoke", include_in_schema=False, right="keys.change")
async def revoke_key(request: AnyRequest, key_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(api.revoke_key)(request, viewer.principal, key_id)
    return back_to(KEYS)


@post(
    f"{KEYS}/{{key_id:str}}/rotate", include_in_schema=False, status_code=200, right="keys.change"
)
async def rotate_key(request: AnyRequest, key_id: FromPath[str]) -> Response[str]:
    viewer, fields = await viewer_of(request), await fields_of(request)
    hours = fields.get("overlapHours", "")
    body = Rotation(int(hours) if hours in dict(OVERLAPS) else USUAL_OVERLAP_HOURS)
    made = await action(api.rotate_key)(request, viewer.principal, key_id, body)
    new = NewKey(made.raw_key, made.api_key.name, made.api_key.kind == "read")
    return await _answer(request, viewer, new)


async def make_key(request: AnyRequest, viewer: Viewer, fields: dict[str, str]) -> NewKeyAnswer:
    """Make a key of a form's fields; `scope` is `WORKSPACE/PROJECT`, or `WORKSPACE/` for all."""
    workspace, _, project = fields.pop("scope", "").partition("/")
    given = fields | {"workspaceId": workspace} | ({"projectId": project} if project else {})
    days = given.pop("expiresInDays", "")
    body = body_of(given, KeyBody)
    if days and days in dict(LIFETIMES):
        body = msgspec.structs.replace(body, expires_in_days=int(days))
    made: NewKeyAnswer = await action(api.create_key)(request, viewer.principal, body)
    return made


def scopes_of(viewer: Viewer) -> tuple[Choice, ...]:
    """Where a key that this viewer makes may send to, nowhere for who may make none.

    Each project comes first, as a key should be for no more than it must.
    """
    names, may = dict(viewer.projects), viewer.principal.may
    projects = [
        Choice(f"{workspace}/{project}", names[project], chosen=False)
        for project, workspace in viewer.homes
        if may("keys.change", workspace)
    ]
    whole = [
        Choice(f"{key}/", f"every project of {name}", chosen=False)
        for key, name in viewer.workspaces
        if may("keys.change", WorkspaceId(key))
    ]
    return (*projects, *whole)


async def _answer(request: AnyRequest, viewer: Viewer, made: NewKey | None = None) -> Response[str]:
    listed: ManyKeys = await action(api.list_keys)(request, viewer.principal)
    now_us = services_of(request).clock.now_us()
    rows = [_row(viewer, key, iso(now_us)) for key in listed.api_keys]
    page = KeysPage(
        endpoint=own_address(request, services_of(request).settings),
        held=tuple(row for row in rows if row.ended is None),
        ended=tuple(row for row in rows if row.ended is not None),
        scopes=scopes_of(viewer),
        kinds=tuple(Choice(kind, KIND_LABELS[kind], kind == "live") for kind in KINDS),
        lifetimes=LIFETIMES,
        overlaps=OVERLAPS,
        made=made,
    )
    moment = Moment(now_us, None)
    return answer_page(request, moment, "keys.html", viewer, page)


def _row(viewer: Viewer, key: KeyView, now: str) -> KeyRow:
    names = dict(viewer.workspaces) | dict(viewer.projects)
    mine = viewer.principal.may("keys.change", WorkspaceId(key.workspace_id))
    expired = key.expires_at if key.expires_at is not None and key.expires_at <= now else None
    ended = key.revoked_at or expired
    if key.project_id is None:
        return KeyRow(key, f"every project of {names.get(key.workspace_id, '?')}", mine, ended)
    return KeyRow(key, names.get(key.project_id, "a project"), mine, ended)


ROUTES = (keys_page, create_key, rotate_key, revoke_key)

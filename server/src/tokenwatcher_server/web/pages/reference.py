"""`/docs`: every operation of the API in words, made of the description that programs read."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from litestar import Response, get

from tokenwatcher_server.web.api.openapi import described
from tokenwatcher_server.web.frame import frame_of
from tokenwatcher_server.web.pages.links import REFERENCE
from tokenwatcher_server.web.pages.schema_text import FieldRow, fields_of
from tokenwatcher_server.web.pages.viewer import AnyRequest, SignInNeeded, viewer_of
from tokenwatcher_server.web.render import PageFrame, render

_GROUPS = (
    ("Send events", ("/api/ingest",)),
    ("Ask what was used", ("/api/stats", "/api/query", "/api/events")),
    ("Workspaces, projects and keys", ("/api/workspaces", "/api/projects", "/api/api-keys")),
    ("People", ("/api/auth", "/api/members", "/api/invitations", "/api/audit-log")),
    ("Operate", ("/",)),
)
"""Headings, each with how the paths under it begin; a path goes under the first that fits."""
_MEMBERS = "/members"


class Refusal(msgspec.Struct, frozen=True):
    status: str
    meaning: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[FieldRow, ...]
    body: tuple[FieldRow, ...]
    status: str
    """What a success is answered with."""
    answer: tuple[FieldRow, ...]
    refusals: tuple[Refusal, ...]


class Group(msgspec.Struct, frozen=True):
    name: str
    operations: tuple[Operation, ...]


class ReferencePage(msgspec.Struct, frozen=True):
    version: str
    groups: tuple[Group, ...]


@get(REFERENCE, include_in_schema=False)
async def reference_page(request: AnyRequest) -> Response[str]:
    page = reference(described(request.app))
    frame = await _frame(request)
    return Response(render("reference.html", frame, page), media_type="text/html")


async def _frame(request: AnyRequest) -> PageFrame:
    """With the navigation for who is signed in; the page itself is for everybody."""
    try:
        return (await viewer_of(request)).frame
    except SignInNeeded:
        return frame_of(request, REFERENCE)


def reference(document: Mapping[str, Any]) -> ReferencePage:
    """Put a description of the API into words."""
    schemas = document["components"]["schemas"]
    operations = [
        _operation(path, method, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return ReferencePage(document["info"]["version"], tuple(_grouped(operations)))


def _grouped(operations: Iterable[Operation]) -> Iterator[Group]:
    found: dict[str, list[Operation]] = {name: [] for name, _ in _GROUPS}
    for operation in operations:
        found[_heading(operation.path)].append(operation)
    for name, members in found.items():
        if members:
            yield Group(name, tuple(members))


def _heading(path: str) -> str:
    if _MEMBERS in path:
        return "People"
    return next(name for name, begins in _GROUPS if path.startswith(begins))


def _operation(
    path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Operation:
    answers = operation["responses"]
    status = next((code for code in answers if code.startswith("2")), "200")
    body = operation.get("requestBody", {})
    return Operation(
        anchor=f"{method}{path}".translate(str.maketrans("/{}", "---")),
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", "").replace("`", ""),
        parameters=tuple(_parameters(operation.get("parameters", ()), schemas)),
        body=tuple(fields_of(_schema(body), schemas)),
        status=status,
        answer=tuple(fields_of(_schema(answers.get(status, {})), schemas)),
        refusals=tuple(
            Refusal(code, answer["description"])
            for code, answer in answers.items()
            if not code.startswith("2")
        ),
    )


def _parameters(
    parameters: Iterable[Mapping[str, Any]], schemas: Mapping[str, Any]
) -> Iterator[FieldRow]:
    for parameter in parameters:
        name = parameter["name"]
        required = bool(parameter.get("required"))
        one = {"properties": {name: parameter["schema"]}, "required": [name] if required else []}
        for row in fields_of(one, schemas):
            note = parameter.get("description", "").replace("`", "")
            yield msgspec.structs.replace(row, note=note)


def _schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = holder.get("content", {})
    found: Mapping[str, Any] = content.get("application/json", {}).get("schema", {})
    return found


ROUTES = (reference_page,)

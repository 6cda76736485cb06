"""`GET /openapi.json`: the framework's description, with what it can't know added."""

from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get

from tokenwatcher_server.ingest.receipt import BatchReceipt, EventReceipt
from tokenwatcher_server.ingest.wire import WireBatch, WireEvent
from tokenwatcher_server.web.api.questions import QUESTIONS
from tokenwatcher_server.web.errors import Problem

_MADE = "openapi_document"
_INGEST = {
    "/api/ingest": ("Send one event", WireEvent, EventReceipt),
    "/api/ingest/batch": ("Send a batch, stored whole or not at all", WireBatch, BatchReceipt),
}
_REFUSALS = {
    "400": "Malformed, out of limits, or a project of another workspace",
    "401": "No valid API key",
    "403": "A key of the wrong kind",
    "408": "The body did not arrive in time",
    "409": "An id already used with different content",
    "413": "The body or the batch is too large",
    "415": "Not JSON, or an unknown content coding",
    "429": "Too many requests; `Retry-After` says when to come again",
    "503": "Can't commit now; nothing was stored",
}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the events without an `id`, so that the request may be sent again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(msgspec.json.encode(described(request.app)), media_type="application/json")


def described(app: Litestar) -> dict[str, Any]:
    """The whole description, the raw ingest routes and the parameters of questions included.

    It takes long to make, and stays the same as long as the server runs.
    """
    if _MADE not in app.state:
        app.state[_MADE] = _describe(app)
    made: dict[str, Any] = app.state[_MADE]
    return made


def _describe(app: Litestar) -> dict[str, Any]:
    document: dict[str, Any] = app.openapi_schema.to_schema()
    add_ingest(document)
    for path, parameters in QUESTIONS.items():
        document["paths"][path]["get"]["parameters"] = list(parameters)
    return document


def add_ingest(document: dict[str, Any]) -> None:
    """Describe the raw routes from the very structs that decode and answer them."""
    types = [WireEvent, WireBatch, EventReceipt, BatchReceipt, Problem]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas)
    components.setdefault("securitySchemes", {})["apiKey"] = {"type": "http", "scheme": "bearer"}
    for path, (summary, body, receipt) in _INGEST.items():
        document.setdefault("paths", {})[path] = {
            "post": {
                "summary": summary,
                "security": [{"apiKey": []}],
                "parameters": [_IDEMPOTENCY_KEY],
                "requestBody": {"required": True, "content": _json(body)},
                "responses": {
                    "200": {"description": "Stored durably", "content": _json(receipt)},
                    **{status: _refusal(text) for status, text in _REFUSALS.items()},
                },
            }
        }


def _json(kind: type) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _refusal(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": schema}},
    }


ROUTES = (openapi,)

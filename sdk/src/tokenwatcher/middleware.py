"""Middleware for ASGI and WSGI: every call made for a request says its route and its request id.

The route is the framework's own pattern (`/users/{id}`) where it tells one, else the path with
what looks like an id replaced, so that it stays one value of a tag and not thousands.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from tokenwatcher.context import tags

_ID = re.compile(r"(?<=/)(?:\d+|[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]+)*|[^/]{30,})(?=/|$)")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}\Z")

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
Wsgi = Callable[[Any, Any], Iterable[bytes]]


class AsgiMiddleware:
    """`app = AsgiMiddleware(app)`, or `add_middleware(AsgiMiddleware)`."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        # asked when a call begins: the framework finds the route after this
        with tags(route=lambda: _asgi_route(scope), request_id=_request_id(given)):
            await self._app(scope, receive, send)


class WsgiMiddleware:
    """`app = WsgiMiddleware(app)`. An answer that is made piece by piece is covered too."""

    def __init__(self, app: Wsgi) -> None:
        self._app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        told = {"route": lambda: _wsgi_route(environ), "request_id": _request_id(given)}
        with tags(**told):
            answer = self._app(environ, start_response)
        if isinstance(answer, (list, tuple)):  # nothing is left to be made; servers ask its length
            return answer
        return _Answer(answer, told)


class _Answer:
    """A WSGI answer whose pieces are made with the request's tags."""

    def __init__(self, answer: Iterable[bytes], told: Mapping[str, Any]) -> None:
        self._answer = answer
        self._pieces: Iterator[bytes] | None = None
        self._told = tags(**told)

    def __iter__(self) -> _Answer:
        return self

    def __next__(self) -> bytes:
        with self._told:
            if self._pieces is None:
                self._pieces = iter(self._answer)
            return next(self._pieces)

    def close(self) -> None:
        close = getattr(self._answer, "close", None)
        if close is not None:
            with self._told:  # frameworks do here what is left to do after the answer
                close()


def _request_id(given: str) -> str:
    """Give the id that came with a request, else a new one that no other process makes either."""
    return given if _REQUEST_ID.match(given) else str(uuid4())


def _asgi_route(scope: Mapping[str, Any]) -> str:
    route = getattr(scope.get("route"), "path", None) or scope.get("path_template")
    if route:
        return str(scope.get("root_path", "")) + str(route)
    path = str(scope.get("path", ""))
    for name, value in (scope.get("path_params") or {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    return without_ids(path)


def _wsgi_route(environ: Mapping[str, Any]) -> str:
    rule = getattr(getattr(environ.get("werkzeug.request"), "url_rule", None), "rule", None)
    return str(rule) if rule else without_ids(str(environ.get("PATH_INFO", "")))


def without_ids(path: str) -> str:
    """A path with `{id}` for each part that is a number, a UUID, a hash or very long."""
    return _ID.sub("{id}", path)

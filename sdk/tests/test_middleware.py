"""Requests: every call made for one says its route and its request id."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tokenwatcher.middleware import AsgiMiddleware, WsgiMiddleware, without_ids
from tokenwatcher.testing import CapturedUsage


def asgi(app: Any, scope: dict[str, Any]) -> None:
    async def nothing(*_: Any) -> None:
        return None

    given: dict[str, Any] = {"type": "http", "headers": [], "path": "/", **scope}
    asyncio.run(AsgiMiddleware(app)(given, nothing, nothing))


def app_of(captured: CapturedUsage, **found: Any) -> Any:
    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        scope.update(found)  # what a framework's router does
        captured.client.track_manual("openai", "gpt-4o", 1, 1)

    return app


class Route:
    path = "/users/{user}/chat"


@pytest.mark.parametrize(
    ("found", "route"),
    [
        ({"route": Route()}, "/users/{user}/chat"),
        ({"path_template": "/users/{user:int}/chat"}, "/users/{user:int}/chat"),
        ({"path_params": {"user": "ann"}}, "/users/{user}/chat"),
        ({}, "/users/ann/chat"),
    ],
)
def test_asgi_calls_say_the_route_that_the_framework_found(
    captured: CapturedUsage, found: dict[str, Any], route: str
) -> None:
    asgi(app_of(captured, **found), {"path": "/users/ann/chat"})
    assert captured.event["tags"] == {"route": route}
    assert len(captured.event["requestId"]) == 36


def test_the_request_id_of_the_request_is_kept_where_it_is_sound(captured: CapturedUsage) -> None:
    asgi(app_of(captured), {"headers": [(b"x-request-id", b"req-1")]})
    asgi(app_of(captured), {"headers": [(b"x-request-id", b"bad id\n")]})
    kept, made = captured.events
    assert kept["requestId"] == "req-1"
    assert len(made["requestId"]) == 36


def test_what_is_no_request_goes_through(captured: CapturedUsage) -> None:
    asgi(app_of(captured), {"type": "lifespan"})
    assert "tags" not in captured.event


def test_wsgi_calls_say_the_route_also_while_the_answer_is_made(captured: CapturedUsage) -> None:
    def app(_environ: Any, _start_response: Any) -> Iterator[bytes]:
        captured.client.track_manual("openai", "gpt-4o", 1, 1)
        yield b"one"
        captured.client.track_manual("openai", "gpt-4o", 2, 1)
        yield b"two"

    environ = {"PATH_INFO": "/orders/1234/items", "HTTP_X_REQUEST_ID": "req-2"}
    answer = WsgiMiddleware(app)(environ, None)
    assert list(answer) == [b"one", b"two"]
    assert [(event["tags"], event["requestId"]) for event in captured.events] == [
        ({"route": "/orders/{id}/items"}, "req-2")
    ] * 2


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/a/17", "/a/{id}"),
        ("/a/0192c5a4-7b1e-7c3d-9f00-aabbccddeeff/b", "/a/{id}/b"),
        ("/a/deadbeefdeadbeef", "/a/{id}"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/" + "x" * 40, "/{id}"),
        ("/", "/"),
    ],
)
def test_paths_without_ids_stay_few(path: str, route: str) -> None:
    assert without_ids(path) == route

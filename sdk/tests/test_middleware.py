"""Requests: every call made for one says its route and its request id."""

import asyncio
import os
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


def test_wsgi_calls_say_the_route_from_the_first_to_the_last(captured: CapturedUsage) -> None:
    """Frameworks have work of the app done when an answer is closed."""

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            captured.client.track_manual("openai", "gpt-4o", 1, 1)
            return iter([b"one"])

        def close(self) -> None:
            captured.client.track_manual("openai", "gpt-4o", 2, 1)

    answer: Any = WsgiMiddleware(lambda *_: Answer())({"PATH_INFO": "/a"}, None)
    assert list(answer) == [b"one"]
    answer.close()
    assert [event["tags"] for event in captured.events] == [{"route": "/a"}] * 2


def test_wsgi_answer_that_is_made_already_goes_through() -> None:
    made = [b"one"]
    assert WsgiMiddleware(lambda *_: made)({"PATH_INFO": "/"}, None) is made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_request_ids_of_forked_workers_differ(captured: CapturedUsage) -> None:
    app = WsgiMiddleware(lambda *_: [captured.client.track_manual("openai", "gpt-4o", 1, 1)])
    reading, writing = os.pipe()
    for _ in range(2):
        child = os.fork()
        if child == 0:
            app({"PATH_INFO": "/"}, None)
            os.write(writing, captured.event["requestId"].encode())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    first, second = os.read(reading, 36), os.read(reading, 36)
    os.close(reading)
    os.close(writing)
    assert len(first) == 36
    assert first[-23:] != second[-23:]


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

"""A real local server that answers as told, and no error of the SDK that goes unseen."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tokenwatcher import TokenWatcher
from tokenwatcher.testing import CapturedUsage, captured_usage

pytest.register_assert_rewrite("sdk.tests.recorded.expectation")

KEY = "tw_test_0123456789abcdefghijABCDEFGHIJ0123456789abc"


class Server:
    """Takes events over HTTP. `answers` are given one by one, then 200 to everything."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.slow = threading.Event()
        self.slow.set()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, {k.replace("_", "-"): v for k, v in headers.items()}, body))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the requests that were answered with 200."""
        return [event for one in self.requests if one["status"] == 200 for event in one["events"]]

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    owner: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.slow.wait(10)
        status, headers, answer = (
            self.owner.answers.pop(0) if self.owner.answers else (200, {}, None)
        )
        self.owner.requests.append(
            {
                "path": self.path,
                "headers": dict(self.headers),
                "status": status,
                "events": body.get("events", [body]),
                "connection": self.client_address[1],
            }
        )
        content = json.dumps(answer or {"success": status == 200}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.slow.set()
    running.stop()


@pytest.fixture
def watcher(server: Server) -> Iterator[Callable[..., TokenWatcher]]:
    """Makes clients of the local server; they end with the test."""
    made: list[TokenWatcher] = []

    def make(**settings: Any) -> TokenWatcher:
        made.append(
            TokenWatcher(
                **{"api_key": KEY, "endpoint": server.url, "flush_interval": 0.01, **settings}
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.shutdown(0.5)


@pytest.fixture
def captured() -> Iterator[CapturedUsage]:
    with captured_usage() as usage:
        yield usage


@pytest.fixture(autouse=True)
def internal_errors() -> Iterator[list[logging.LogRecord]]:
    """The SDK swallows its own errors; here one fails its test, unless the test takes it out."""
    seen: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    handler = Keep(level=logging.ERROR)
    log = logging.getLogger("tokenwatcher")
    log.addHandler(handler)
    yield seen
    log.removeHandler(handler)
    assert not seen, [record.exc_info for record in seen]

"""Recorded answers of real providers, and a local server that plays the providers."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sdk.tests.recorded.exchanges import (
    ABSENT,
    RECORDED,
    Exchange,
    body_of,
    headers_of,
    load,
    load_all,
)

pytest.register_assert_rewrite("sdk.tests.recorded.expectation")

PIECE = 37
"""Bytes in one piece of a stream: small, and it splits characters and lines anywhere."""


class Provider:
    """Answers as recorded: `/play/{name}/...` is the address of the exchange of that name."""

    def __init__(self, exchanges: dict[str, Exchange]) -> None:
        self.exchanges = exchanges
        handler = type("Handler", (_Handler,), {"exchanges": exchanges})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def address(self, exchange: Exchange) -> str:
        return f"{self.url}/play/{exchange['name']}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    exchanges: dict[str, Exchange]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        exchange = self.exchanges[self.path.split("/")[2]]
        response = exchange["response"]
        status = response["status"]
        self.send_response(status if status >= 200 else 200)
        for name, value in headers_of(exchange).items():
            self.send_header(name, value)
        self.send_header("Connection", "close")  # so that no client keeps one open
        self.send_header("X-Request-Id", f"req_{exchange['name'][-12:]}")
        body = body_of(exchange)
        if exchange["streaming"] and not isinstance(response.get("body"), dict):
            self._send_in_pieces(body)
        else:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_GET = do_POST  # noqa: N815  # the name the base class calls

    def _send_in_pieces(self, body: bytes) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), PIECE):
            piece = body[start : start + PIECE]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def recorded() -> dict[str, Exchange]:
    """The recorded exchanges. Their absence is told loudly, and fails under CI."""
    if not RECORDED.is_dir():
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    return load(RECORDED)


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    playing = Provider(load_all())
    yield playing
    playing.stop()


@pytest.fixture(scope="session")
def callers() -> Any:
    """The module beside this file; tests are no package that could import it."""
    spec = importlib.util.spec_from_file_location("callers", Path(__file__).with_name("callers.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each exchange; a test marked for recordings alone does not get our own."""
    if "exchange" not in metafunc.fixturenames:
        return
    exchanges = load_all()
    metafunc.parametrize("exchange", list(exchanges.values()), ids=list(exchanges))

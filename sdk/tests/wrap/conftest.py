"""A local server that plays a provider, as told by each test."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import openai
import pytest

from tokenwatcher.testing import CapturedUsage


class Reply(NamedTuple):
    """What the provider says to one request."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    piece: int = 0
    """Bytes in one TCP piece of the body; 0 sends it whole."""
    cut_at: int | None = None
    """The connection breaks after so many bytes."""
    pause_at: int | None = None
    """Nothing more comes after so many bytes, until the test ends."""


class Provider:
    """Gives `replies` one by one, the last one ever again."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.ended = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def says(self, body: Any, **rest: Any) -> None:
        """Answer with JSON."""
        self.replies.append(Reply(json.dumps(body, ensure_ascii=False).encode(), **rest))

    def streams(self, pieces: list[Any], *, done: bool = True, **rest: Any) -> None:
        """Answer with server-sent events, as OpenAI and Anthropic write them."""
        lines = []
        for piece in pieces:
            if piece.get("type"):
                lines.append(f"event: {piece['type']}\n")
            lines.append(f"data: {json.dumps(piece, ensure_ascii=False)}\n\n")
        if done:
            lines.append("data: [DONE]\n\n")
        self.replies.append(Reply("".join(lines).encode(), "text/event-stream", **rest))

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    owner: Provider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_json = (self.headers.get("Content-Type") or "").startswith("application/json")
        self.owner.requests.append(json.loads(body) if body and is_json else {})
        self.owner.paths.append(self.path)
        replies = self.owner.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name in ("X-Request-Id", "Request-Id"):
            self.send_header(name, "req_0123456789abcdef0123")
        if reply.piece or reply.cut_at is not None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._send_in_pieces(reply)
        else:
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

    do_GET = do_POST  # noqa: N815  # the name the base class calls

    def _send_in_pieces(self, reply: Reply) -> None:
        body = reply.body[: reply.cut_at]
        size = reply.piece or len(body) or 1
        for start in range(0, len(body), size):
            if reply.pause_at is not None and start >= reply.pause_at:
                self.owner.ended.wait(10)
                self.close_connection = True
                return
            piece = body[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if reply.cut_at is None:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    playing = Provider()
    yield playing
    playing.stop()


@pytest.fixture
def client(provider: Any, captured: CapturedUsage) -> Iterator[openai.OpenAI]:
    """OpenAI's client, wrapped; files about another one have their own."""
    with openai.OpenAI(api_key="sk-made-up", base_url=provider.url, max_retries=0) as client:
        yield captured.client.wrap(client, provider="openai")


def counts(event: dict[str, Any]) -> tuple[Any, ...]:
    """The whole counts of an event, and what of its prompt was cached."""
    return event["inputTokens"], event.get("cacheReadTokens"), event["outputTokens"]

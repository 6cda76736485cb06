"""A receiver of alerts on this machine, and a server that may send to it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery staple"


class Receiver:
    """Keeps every request that it gets, and answers with `statuses` in turn, then 200."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.retry_after: str | None = None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append((headers, body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                if receiver.retry_after is not None:
                    self.send_header("Retry-After", receiver.retry_after)
                self.end_headers()

            def log_request(self, code: object = None, size: object = None) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def wait_for(self, count: int, seconds: float = 10.0) -> list[dict[str, Any]]:
        """The bodies, once so many have come."""
        deadline = time.monotonic() + seconds
        while len(self.received) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.bodies()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def watching(new_instance: Callable[..., Any], receiver: Receiver) -> Any:
    """A server that may send to the receiver, and to nothing else on this machine."""
    return new_instance(
        DASHBOARD_PASSWORD=PASSWORD,
        WEBHOOK_ALLOWED_CIDRS="127.0.0.1/32",
        WEBHOOK_ALLOWED_PORTS=str(receiver.port),
        CRON_SECRET="a cron secret that is long enough: 0123456789",
    )


@pytest.fixture
def admin(watching: Any) -> Iterator[httpx.Client]:
    """Signed in as who owns the instance."""
    with watching.client() as client:
        credentials = {"username": "admin", "password": PASSWORD}
        assert client.post("/api/auth/login", json=credentials).status_code == 200
        client.headers["X-CSRF-Token"] = client.get("/api/auth/csrf").json()["csrfToken"]
        yield client


@pytest.fixture
def workspace_id(admin: httpx.Client) -> str:
    return str(admin.get("/api/workspaces").json()["workspaces"][0]["id"])

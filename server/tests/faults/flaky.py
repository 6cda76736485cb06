"""A network that fails on purpose: an HTTP proxy before a server, with faults to switch on."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["none", "cut", "half", "lost", "500", "late 500", "429", "413", "slow"]
SLOW_SECONDS = 0.6


class FlakyNetwork:
    """Forwards requests to `upstream`: each meets the next of `faults`, then `always`."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults: list[Fault] = []
        self.always: Fault = "none"
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"network": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self) -> Fault:
        with self._lock:
            return self.faults.pop(0) if self.faults else self.always

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    network: FlakyNetwork

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.network.next_fault()
        if fault == "lost":  # never reaches the server
            self.close_connection = True
        elif fault in {"500", "429", "413"}:
            self._answer(int(fault), b'{"error": "made up"}')
        else:
            if fault == "slow":
                time.sleep(SLOW_SECONDS)
            self._forward(body, fault)

    def _forward(self, body: bytes, fault: Fault) -> None:
        try:
            status, answer = self._ask_server(body)
        except OSError:
            self.close_connection = True
            return
        if fault == "cut":
            self.close_connection = True
        elif fault == "late 500":
            self._answer(500, b"{}")
        else:
            self._answer(status, answer, half=fault == "half")

    def _ask_server(self, body: bytes) -> tuple[int, bytes]:
        host = urlsplit(self.network.upstream)
        connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=10)
        try:
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def _answer(self, status: int, content: bytes, *, half: bool = False) -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = half

    def log_message(self, *_: Any) -> None:
        pass

"""A keep-alive connection to a server, for the figures that send one request at a time."""

import http.client
import json
import time
from typing import Any

WAIT_SECONDS = 120


class Client:
    def __init__(self, port: int, key: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def read(self, path: str) -> bytes:
        """The body of a page. Raises RuntimeError for any answer but 200."""
        return self._ask("GET", path)

    def get(self, path: str) -> Any:
        """The JSON of an answer."""
        return json.loads(self._ask("GET", path))

    def post(self, path: str, document: object) -> Any:
        return json.loads(self._ask("POST", path, json.dumps(document).encode()))

    def milliseconds(self, path: str) -> float:
        """How long the answer takes, to its last byte."""
        began = time.perf_counter()
        self._ask("GET", path)
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"{method} {path} answered {response.status}: {answer[:300]!r}")
        return answer

"""The only way out: one method that carries a body to the server and brings its answer back."""

from __future__ import annotations

import http.client
import os
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

_LARGEST_ANSWER = 4 * 1024 * 1024


class Answer(NamedTuple):
    """A server's answer: `retry_after` is the header's text, where there is one."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


class Transport(Protocol):
    """Carries requests. `post` raises OSError or HTTPException where no answer came back."""

    def post(self, path: str, body: bytes) -> Answer: ...

    def close(self) -> None: ...


class HttpTransport:
    """One connection that is kept open. Certificates are verified; redirects are not followed.

    Proxy settings of the environment are not looked at: a key and its events go to the endpoint
    and nowhere else. Used by one thread at a time.
    """

    def __init__(self, endpoint: str, api_key: str, timeout: float) -> None:
        parts = urlsplit(endpoint)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": "tokenwatcher-sdk-python",
        }
        self._connection: http.client.HTTPConnection | None = None
        self._process = 0

    def post(self, path: str, body: bytes) -> Answer:
        kept = self._connection is not None and self._process == os.getpid()
        if not kept:
            self._connect()
        try:
            return self._exchange(path, body)
        except (OSError, http.client.HTTPException):
            self.close()
            if not kept:
                raise
        # a server may close an idle connection at any time; ids make sending again harmless
        self._connect()
        try:
            return self._exchange(path, body)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _exchange(self, path: str, body: bytes) -> Answer:
        connection = self._connection
        if connection is None:
            raise http.client.NotConnected
        connection.request("POST", f"{self._prefix}{path}", body, self._headers)
        response = connection.getresponse()
        content = response.read(_LARGEST_ANSWER)
        if not response.isclosed():
            self.close()
        return Answer(response.status, content, response.getheader("Retry-After"))

    def _connect(self) -> None:
        """Open a new connection; one inherited by a fork belongs to the parent."""
        if self._secure:
            import ssl  # slow to import, and of no use to a plain http endpoint

            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
            )
        else:
            self._connection = http.client.HTTPConnection(
                self._host, self._port, timeout=self._timeout
            )
        self._process = os.getpid()

    def close(self) -> None:
        """Close the connection; `post` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class MemoryTransport:
    """Keeps what would have been sent; for tests. Answers as told, and 200 from then on."""

    answers: list[Answer] = field(default_factory=list)
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    def post(self, path: str, body: bytes) -> Answer:
        self.posts.append((path, body))
        return self.answers.pop(0) if self.answers else Answer(200, b"{}")

    def close(self) -> None:
        """Nothing is open."""

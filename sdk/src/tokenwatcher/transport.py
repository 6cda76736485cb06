"""The only way out: one method that carries a body to the server and brings its answer back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from tokenwatcher.settings import DEFAULT_ENDPOINT, Settings

if TYPE_CHECKING:
    import http.client
    import ssl

_LARGEST_ANSWER = 4 * 1024 * 1024


class Answer(NamedTuple):
    """A server's answer: `retry_after` is the header's text, where there is one."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


class NoAnswer(OSError):
    """No answer came back; whether the request arrived is not known."""


class Transport(Protocol):
    """Carries requests to a server. Used by one thread at a time."""

    def post(self, path: str, body: bytes) -> Answer:
        """Carry one request; raises OSError where no answer came back."""
        ...

    def close(self) -> None:
        """Let go of connections; `post` may be called again all the same."""
        ...


class HttpTransport:
    """One connection that is kept open. Certificates are verified; redirects are not followed.

    Proxy settings of the environment are not looked at: a key and its events go to the endpoint
    and nowhere else. Used by one thread at a time.
    """

    def __init__(self, endpoint: str, api_key: str, timeout: float) -> None:
        # imported here and not where they are used: a fork while another thread is importing
        # leaves the child with a lock that nobody opens; and apps that send nothing do without
        import encodings.idna  # noqa: F401
        import http.client

        parts = urlsplit(endpoint)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": "tokenwatcher-sdk-python",
        }
        self._http = http.client
        self._verifying = _verifying() if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._process = 0

    def post(self, path: str, body: bytes) -> Answer:
        """Send a request, on the kept connection if the server still has it."""
        kept = self._connection
        if kept is not None and self._process == os.getpid():
            # a server may close an idle connection at any time; ids make sending again harmless
            with suppress(NoAnswer):
                return self._exchange(kept, path, body)
        return self._exchange(self._connect(), path, body)

    def _exchange(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> Answer:
        try:
            connection.request("POST", f"{self._prefix}{path}", body, self._headers)
            response = connection.getresponse()
            content = response.read(_LARGEST_ANSWER)
        except (OSError, self._http.HTTPException, ValueError) as error:
            self.close()
            raise NoAnswer(type(error).__name__) from error
        if not response.isclosed():
            self.close()
        return Answer(response.status, content, response.getheader("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        """Open a new connection; one inherited by a fork belongs to the parent."""
        connection: http.client.HTTPConnection
        if self._verifying is None:
            connection = self._http.HTTPConnection(self._host, self._port, timeout=self._timeout)
        else:
            connection = self._http.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._verifying
            )
        self._connection = connection
        self._process = os.getpid()
        return connection

    def close(self) -> None:
        """Close the connection; `post` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def http_transport(settings: Settings) -> HttpTransport:
    """What carries a client's events; a disabled client's address may be no address at all."""
    endpoint = DEFAULT_ENDPOINT if settings.disabled else settings.endpoint
    return HttpTransport(endpoint, settings.api_key or "", settings.timeout)


def _verifying() -> ssl.SSLContext:
    import ssl

    return ssl.create_default_context()


class MemoryTransport:
    """Keeps what would have been sent; for tests. Answers as told, and 200 from then on."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self.answers: list[Answer] = list(answers)
        self.posts: list[tuple[str, bytes]] = []
        """The path and the body of each request, oldest first."""

    def post(self, path: str, body: bytes) -> Answer:
        """Keep the request."""
        self.posts.append((path, body))
        return self.answers.pop(0) if self.answers else Answer(200, b'{"success": true}')

    def close(self) -> None:
        """Nothing is open."""

"""The outermost layer: what every request must have, and what every answer carries.

1. A request needs a Host header that is sound and ours, and gets a request id.
2. Ingest goes straight to its raw handler, everything else to the framework.
3. Every answer carries the security headers and the request id; whatever fails is answered
   as a problem, with the details in the log alone.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from tokenwatcher_server.ingest.body import BODY_SECONDS
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid, not_found
from tokenwatcher_server.kernel.ids import new_id
from tokenwatcher_server.observability import logs
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.client_address import is_encrypted
from tokenwatcher_server.web.errors import headers_of, internal, problem_of
from tokenwatcher_server.web.middleware.hosts import KnownHosts
from tokenwatcher_server.web.middleware.security_headers import (
    HTTPS_ONLY,
    NO_STORE,
    SecurityHeaders,
    security_headers,
)
from tokenwatcher_server.web.reply import RawHeaders, Reply, problem_reply

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]
RawHandler = Callable[[Scope, Headers, Receive], Awaitable[Reply]]
"""Answers a path without the framework; see `headers_by_name`."""

HANGS_UP: Final = (b"connection", b"close")
_LEAVES_THE_BODY = frozenset({408, 413})
"""Said while a body still comes, so the sender must hear that this connection ends."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}\Z")


class Envelope:
    def __init__(
        self,
        application: Application,
        raw_handlers: Mapping[str, RawHandler],
        settings: Settings,
    ) -> None:
        self._application = application
        self._raw_handlers = raw_handlers
        self._hosts = KnownHosts(settings)
        self._trusted_proxies = settings.trusted_proxies
        self._plain = security_headers(settings)
        self._encrypted = msgspec.structs.replace(
            self._plain,
            data=(*self._plain.data, HTTPS_ONLY),
            page=(*self._plain.page, HTTPS_ONLY),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = headers_by_name(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)
        raw = self._raw_handlers.get(scope["path"])
        try:
            self._hosts.check(headers.get(b"host", b""))
            _refuse_nul(scope)
            if raw is None:
                answer = _Answer(send, request_id, self._headers_for(scope, headers))
                await self._application(scope, _Timed(receive), answer)
                return
            reply = await raw(scope, headers, receive)
        except AppError as error:
            reply = problem_reply(problem_of(error, request_id), headers_of(error))
        except Exception:  # noqa: BLE001 - the last resort: nobody else would answer
            logs.logger().exception("a request failed", path=scope["path"])
            if raw is None and answer.started:
                return
            reply = problem_reply(internal(request_id))
        await _send_reply(send, reply, request_id, self._headers_for(scope, headers).data)

    def _headers_for(self, scope: Scope, headers: Headers) -> SecurityHeaders:
        forwarded = headers.get(b"x-forwarded-proto", b"").decode("latin-1")
        if is_encrypted(scope, forwarded, self._trusted_proxies):
            return self._encrypted
        return self._plain


class _Timed:
    """The `receive` that the framework sees: a body that takes too long is refused."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        self._whole = False

    async def __call__(self) -> Any:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise AppError(
                Kind.TIMEOUT, "BODY_TIMEOUT", "The body did not arrive in time."
            ) from None
        self._whole = not message.get("more_body", False)
        return message


class _Answer:
    """The `send` that handlers see: adds what every answer carries."""

    def __init__(self, send: Send, request_id: str, security: SecurityHeaders) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self._security = security
        self.started = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            given = {name.lower(): value for name, value in headers}
            is_page = given.get(b"content-type", b"").startswith(b"text/html")
            headers += self._security.page if is_page else self._security.data
            headers.append((b"x-request-id", self._request_id))
            if message["status"] in _LEAVES_THE_BODY:
                headers.append(HANGS_UP)
            if b"cache-control" not in given:
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        await self._send(message)


def _request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.match(given):
        return given.decode("ascii")
    return new_id()


def _refuse_nul(scope: Scope) -> None:
    """No text that is kept has such a character, and not every database can look for it."""
    if "\0" in scope["path"]:
        raise not_found()
    query: bytes = scope["query_string"]
    if b"%00" in query:
        parts = (part.partition(b"=") for part in query.split(b"&"))
        name = next(name for name, _, value in parts if b"%00" in name + value)
        shown = unquote_plus(name.decode("latin-1")).replace("\0", "")
        raise invalid(
            "A NUL character can't be asked for.", Issue(shown[:60], "has a NUL character")
        )


def headers_by_name(pairs: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The headers by lower-case name; the values of one that came twice are joined by a comma.

    That is what they mean, and nothing that must come once can be read from it.
    """
    headers = dict(pairs)
    if len(headers) != len(pairs):
        headers = {}
        for name, value in pairs:
            headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


async def _send_reply(send: Send, reply: Reply, request_id: str, security: RawHeaders) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
        *security,
        NO_STORE,
        (b"x-request-id", request_id.encode()),
    ]
    if reply.status in _LEAVES_THE_BODY and HANGS_UP not in headers:
        headers.append(HANGS_UP)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

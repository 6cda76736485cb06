"""The outermost layer: what every request must have, and what every answer carries.

1. A request needs one sound Host header and gets a request id.
2. Ingest goes straight to its raw handler, everything else to the framework.
3. Every answer carries the security headers and the request id; whatever fails is answered
   as a problem, with the details in the log alone.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tokenwatcher_server.ingest.body import BODY_SECONDS
from tokenwatcher_server.kernel.errors import AppError, Kind, invalid
from tokenwatcher_server.kernel.ids import new_id
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.web.errors import headers_of, internal, problem_of
from tokenwatcher_server.web.reply import Reply, problem_reply

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]
RawHandler = Callable[[Scope, Headers, Receive], Awaitable[Reply]]
"""Answers a path without the framework; see `headers_by_name`."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"server", b"tokenwatcher"),
]
NO_STORE = (b"cache-control", b"no-store")
_ALL_HEADERS = [*SECURITY_HEADERS, NO_STORE]

_HOST = re.compile(
    rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?\Z"
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}\Z")


class Envelope:
    def __init__(self, application: Application, raw_handlers: Mapping[str, RawHandler]) -> None:
        self._application = application
        self._raw_handlers = raw_handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = headers_by_name(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        raw = self._raw_handlers.get(scope["path"])
        try:
            _check_host(headers.get(b"host", b""))
            if raw is None:
                answer = _Answer(send, request_id)
                await self._application(scope, _Timed(receive), answer)
                return
            reply = await raw(scope, headers, receive)
        except AppError as error:
            reply = problem_reply(problem_of(error, request_id), headers_of(error))
        except Exception:  # noqa: BLE001 - the last resort: nobody else would answer
            logger().exception("a request failed", request_id=request_id, path=scope["path"])
            if raw is None and answer.started:
                return
            reply = problem_reply(internal(request_id))
        await _send_reply(send, reply, request_id)


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

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.started = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message.get("headers", ()))
            headers += SECURITY_HEADERS
            headers.append((b"x-request-id", self._request_id))
            if not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        await self._send(message)


def _request_id(given: bytes | None) -> str:
    if given is not None and _REQUEST_ID.match(given):
        return given.decode("ascii")
    return new_id()


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


def _check_host(host: bytes) -> None:
    found = _HOST.match(host)
    if found is None or int(found["port"] or 0) > 65535:
        raise invalid("The request needs exactly one valid Host header.", code="BAD_HOST")


async def _send_reply(send: Send, reply: Reply, request_id: str) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers,
        *_ALL_HEADERS,
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

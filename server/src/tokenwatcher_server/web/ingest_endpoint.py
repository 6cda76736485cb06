"""`POST /api/ingest` and `/api/ingest/batch`, as raw ASGI: the hot path of the server."""

import re
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

import msgspec

from tokenwatcher_server.access.keys import Key
from tokenwatcher_server.access.rate_limits import RateLimits
from tokenwatcher_server.access.verifier import KeyVerifier
from tokenwatcher_server.ingest.body import read_body
from tokenwatcher_server.ingest.idempotency import idempotency_key
from tokenwatcher_server.ingest.pipeline import Ingest, accept_batch, accept_event
from tokenwatcher_server.ingest.receipt import BatchReceipt, EventReceipt
from tokenwatcher_server.ingest.scope import Writer
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.observability.logs import logger
from tokenwatcher_server.settings import Settings
from tokenwatcher_server.web.errors import headers_of, method_not_allowed, problem_of
from tokenwatcher_server.web.middleware.envelope import (
    Headers,
    RawHandler,
    Receive,
    Scope,
)
from tokenwatcher_server.web.rate_limit import SendingLimit, check, rate_headers
from tokenwatcher_server.web.reply import RawHeaders, Reply, problem_reply

EVENT_BYTES = 1_000_000
BATCH_BYTES = 8_000_000

_BEARER = re.compile(rb"(?i:bearer) ([A-Za-z0-9_-]{1,200})\Z")
_HANGS_UP = {"Connection": "close"}
"""For an answer that left a long body unread: the server hangs up after it, which the sender
must hear, lest the next request on that connection be lost."""
_SHORT_BODY_BYTES = 16_384
_ALLOWED_HEADERS = b"Authorization, Content-Type, Content-Encoding, Idempotency-Key"
_json = msgspec.json.Encoder()

Accept = Callable[[Ingest, Writer, bytes, bytes | None], Awaitable[EventReceipt | BatchReceipt]]


def ingest_handlers(
    settings: Settings, keys: KeyVerifier, limits: RateLimits, parts: Ingest
) -> Mapping[str, RawHandler]:
    """The raw handlers by path."""
    limit = settings.ingest_max_body_bytes
    origins = frozenset(settings.ingest_allowed_origins)
    if "*" in origins:
        logger().warning("INGEST_ALLOWED_ORIGINS is *: pages of every site may send events")
    rate = SendingLimit(settings, limits)
    single, batch = limit or EVENT_BYTES, limit or BATCH_BYTES
    return {
        "/api/ingest": _Endpoint(keys, rate, parts, accept_event, single, origins),
        "/api/ingest/batch": _Endpoint(keys, rate, parts, accept_batch, batch, origins),
    }


class _Endpoint:
    def __init__(
        self,
        keys: KeyVerifier,
        rate: SendingLimit,
        parts: Ingest,
        accept: Accept,
        limit: int,
        origins: frozenset[str],
    ) -> None:
        self._keys = keys
        self._rate = rate
        self._parts = parts
        self._accept = accept
        self._limit = limit
        self._origins = origins

    async def __call__(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        origin = headers.get(b"origin")
        cors = () if origin is None else _cors(origin, self._origins)
        if scope["method"] != "POST":
            return self._other_method(scope, headers, cors)
        began = perf_counter()
        rate: RawHeaders = ()
        body: bytes | None = None
        try:
            key = await self._key(headers)
            standing = await self._rate.count(key, scope, headers)
            if standing is not None:
                rate = rate_headers(standing)
                check(standing)
            writer = _writer(key)
            repeated = idempotency_key(headers)
            body = await read_body(headers, receive, self._limit)
            receipt = await self._accept(self._parts, writer, body, repeated)
        except AppError as error:
            self._parts.metrics.refused.labels(error.code).inc()
            problem = problem_of(error, scope["state"]["request_id"])
            close = _HANGS_UP if body is None and not _is_short(headers) else {}
            return problem_reply(problem, headers_of(error) | close | _text(cors) | _text(rate))
        self._parts.metrics.acknowledge_seconds.observe(perf_counter() - began)
        return Reply(200, _json.encode(receipt), headers=(*cors, *rate))

    async def _key(self, headers: Headers) -> Key | None:
        raw = bearer(headers)
        if raw is None:
            return None
        return self._keys.cached(raw) or await self._keys.verify(raw)

    def _other_method(self, scope: Scope, headers: Headers, cors: RawHeaders) -> Reply:
        if scope["method"] == "OPTIONS":
            if b"origin" in headers and not cors:
                raise AppError(
                    Kind.FORBIDDEN, "ORIGIN_NOT_ALLOWED", "This origin may not send events."
                )
            return Reply(204, b"", headers=cors)
        problem = method_not_allowed(scope["state"]["request_id"])
        return problem_reply(problem, {"Allow": "POST, OPTIONS"} | _text(cors))


def _is_short(headers: Headers) -> bool:
    """Whether the server takes in a body that nobody reads, and so keeps the connection."""
    length = headers.get(b"content-length", b"")
    return length.isdigit() and len(length) <= 5 and int(length) <= _SHORT_BODY_BYTES


def _writer(key: Key | None) -> Writer:
    """Who may write where, before anything of the body is read."""
    if key is None:
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "A valid API key is needed.")
    if key.kind == "read":
        raise AppError(Kind.FORBIDDEN, "WRONG_KEY_KIND", "A read key can't send events.")
    return Writer(key.workspace_id, key.project_id)


def bearer(headers: Headers) -> str | None:
    """The token of the one Authorization header, None where it is missing or malformed."""
    found = _BEARER.match(headers.get(b"authorization", b""))
    return None if found is None else found[1].decode("ascii")


def _cors(origin: bytes, allowed: frozenset[str]) -> RawHeaders:
    """The headers for an allowed origin, none for another."""
    if "*" not in allowed and origin.decode("latin-1") not in allowed:
        return ()
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", b"POST, OPTIONS"),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", b"600"),
        (b"vary", b"Origin"),
    ]


def _text(headers: RawHeaders) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}

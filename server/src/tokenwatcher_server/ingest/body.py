"""The request's body, under a limit on its size and on the time it may take."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tokenwatcher_server.ingest.encoding import decompress, too_large
from tokenwatcher_server.kernel.errors import AppError, Kind, invalid

BODY_SECONDS = 10.0

Receive = Callable[[], Awaitable[Any]]


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, limit: int, seconds: float = BODY_SECONDS
) -> bytes:
    """Read and decompress the body; `headers` has lower-case names.

    Raises AppError: 408 when it takes too long, 413 when it is too large before or after
    decompression, 415 for another type or coding, 400 when it is damaged.
    """
    _check_type(headers.get(b"content-type", b""))
    _check_length(headers.get(b"content-length"), limit)
    try:
        async with asyncio.timeout(seconds):
            body = await _receive_all(receive, limit)
    except TimeoutError:
        raise AppError(
            Kind.TIMEOUT, "BODY_TIMEOUT", "The body did not arrive in time; nothing was stored."
        ) from None
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else decompress(body, encoding.decode("latin-1"), limit)


def _check_type(content_type: bytes) -> None:
    kind, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in {"", "utf-8", "utf8"}:
        raise AppError(
            Kind.UNSUPPORTED, "NOT_JSON", "Send application/json in UTF-8; nothing was stored."
        )


def _check_length(content_length: bytes | None, limit: int) -> None:
    if content_length is None:
        return
    if not content_length.isdigit():
        raise invalid("Content-Length must be a whole number.", code="BAD_CONTENT_LENGTH")
    if len(content_length) > 18 or int(content_length) > limit:
        raise too_large(limit)


async def _receive_all(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _broken_off()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise too_large(limit)
        return body
    parts = bytearray(body)
    while message.get("more_body"):
        if len(parts) > limit:
            raise too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _broken_off()
        parts += message.get("body", b"")
    if len(parts) > limit:
        raise too_large(limit)
    return bytes(parts)


def _broken_off() -> AppError:
    """The sender hung up, or sent chunks that can't be read: a server must answer the latter."""
    return invalid("The body broke off; nothing was stored.", code="MALFORMED_BODY")

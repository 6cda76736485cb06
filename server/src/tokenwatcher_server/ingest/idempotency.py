"""`Idempotency-Key`: a request that comes again finds the events that it brought before.

An event without an id gets one made of the key and of the event's place in the body. So the same
request again is a retry like any other, and another one with the same key is a conflict.
"""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from tokenwatcher_server.ingest.wire import WireEvent
from tokenwatcher_server.kernel.errors import Issue, invalid

HEADER: Final = "Idempotency-Key"
_KEY = re.compile(rb"[\x21-\x7e]{1,200}\Z")
_VERSION_8 = 0x80
_VARIANT = 0x80


def idempotency_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key of a request, None where it has none; raises AppError for one that is none."""
    given = headers.get(b"idempotency-key")
    if given is not None and _KEY.match(given) is None:
        message = "must have 1 to 200 visible characters of ASCII"
        raise invalid(f"{HEADER} {message}; nothing was stored.", Issue(HEADER, message))
    return given


def with_ids(events: Sequence[WireEvent], key: bytes) -> list[WireEvent]:
    """The events, those without an id named by the key and their place."""
    return [
        event if event.id else replace(event, id=_id_of(key, position))
        for position, event in enumerate(events)
    ]


def _id_of(key: bytes, position: int) -> str:
    digest = bytearray(blake2b(b"%b\0%d" % (key, position), digest_size=16).digest())
    digest[6] = digest[6] & 0x0F | _VERSION_8
    digest[8] = digest[8] & 0x3F | _VARIANT
    return str(UUID(bytes=bytes(digest)))

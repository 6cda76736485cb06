"""What makes two events the same: packed ids, and fingerprints of providers' answers."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tokenwatcher_server.events.event import Event

ID_BYTES = 16
FINGERPRINT_BYTES = 12
LEAST_RESPONSE_ID = 16
"""Shorter response ids prove nothing: some providers send a constant."""

_UUID7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_encoder = msgspec.msgpack.Encoder()


def pack_id(event_id: str) -> bytes:
    """Give 16 bytes for an id: a UUIDv7 keeps its own, so that neighbours stay neighbours.

    Any other text gets a hash whose seventh byte a UUIDv7 never has: the two can't clash.
    """
    if _UUID7.fullmatch(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    digest = bytearray(blake2b(event_id.encode(), digest_size=ID_BYTES).digest())
    digest[6] |= 0xF0
    return bytes(digest)


def pack_ids(event_ids: Sequence[str]) -> list[bytes]:
    """`pack_id` of each; at once where all are UUIDv7, as the SDK's are."""
    count = len(event_ids)
    text = "".join(event_ids)
    dashes = "-" * count
    if (
        len(text) == 36 * count
        and text[8::36] == text[13::36] == text[18::36] == text[23::36] == dashes
        and text[14::36] == "7" * count
        and set(map(len, event_ids)) == {36}
        and set(text[19::36]) <= set("89ab")
        and set(text) <= set("0123456789abcdef-")
        and len(digits := text.replace("-", "")) == 32 * count
    ):
        packed = bytes.fromhex(digits)
        return [packed[start : start + ID_BYTES] for start in range(0, len(packed), ID_BYTES)]
    return [pack_id(event_id) for event_id in event_ids]


def fingerprint(workspace: int, event: Event) -> bytes | None:
    """Identify a provider's answer, or None where its id proves nothing."""
    if event.response_id is None or len(event.response_id) < LEAST_RESPONSE_ID:
        return None
    return answer_fingerprint(
        workspace, event.provider, event.response_id, msgspec.structs.astuple(event.tokens)
    )


def answer_fingerprint(
    workspace: int, provider: str, response_id: str, tokens: tuple[int | None, ...]
) -> bytes:
    said = _encoder.encode((workspace, provider, response_id, tokens))
    return blake2b(said, digest_size=FINGERPRINT_BYTES).digest()

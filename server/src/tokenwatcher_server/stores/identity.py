"""What makes two events the same: packed ids, and fingerprints of providers' answers."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from tokenwatcher_server.events.event import Event

ID_BYTES = 16
_WORKSPACE_BYTES = 8
FINGERPRINT_BYTES = 12
LEAST_RESPONSE_ID = 16
"""Shorter response ids prove nothing: some providers send a constant."""

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-e][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_encoder = msgspec.msgpack.Encoder()


def is_uuid(event_id: str) -> bool:
    """Whether an id is kept as a UUID: the usual text, and not of the made-up version 15."""
    return _UUID.fullmatch(event_id) is not None


def pack_id(event_id: str) -> bytes:
    """Give 16 bytes for an id: a UUID's own, so that neighbours in time stay neighbours.

    Any other text gets a hash marked as a UUID of version 15: the two can't clash.
    """
    if is_uuid(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    digest = bytearray(blake2b(event_id.encode(), digest_size=ID_BYTES).digest())
    digest[6] |= 0xF0
    return bytes(digest)


def pack_ids(event_ids: Sequence[str]) -> list[bytes]:
    """`pack_id` of each; at once where all are UUIDs, as the SDK's are."""
    packed = pack_uuids(event_ids)
    if packed is None:
        return [pack_id(event_id) for event_id in event_ids]
    return [packed[start : start + ID_BYTES] for start in range(0, len(packed), ID_BYTES)]


def pack_uuids(event_ids: Sequence[str]) -> bytes | None:
    """All ids as bytes, one after the other; None where one of them isn't a UUID.

    The checks look at all the ids at once: a character's place in each is a stride of the text.
    """
    count = len(event_ids)
    text = "".join(event_ids)
    dashes = "-" * count
    if (
        set(map(len, event_ids)) != {36}
        or not text[8::36] == text[13::36] == text[18::36] == text[23::36] == dashes
        or "f" in text[14::36]
        or text.encode().translate(None, b"0123456789abcdef-")
    ):
        return None
    digits = text.replace("-", "")
    return bytes.fromhex(digits) if len(digits) == 32 * count else None


def unpack_uuids(packed: bytes) -> list[str]:
    digits = packed.hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}-"
        f"{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, len(digits), 32)
    ]


def fingerprint(workspace: int | str, event: Event) -> bytes | None:
    """Identify a provider's answer, or None where its id proves nothing."""
    if event.response_id is None or len(event.response_id) < LEAST_RESPONSE_ID:
        return None
    return answer_fingerprint(
        workspace, event.provider, event.response_id, msgspec.structs.astuple(event.tokens)
    )


def answer_fingerprint(
    workspace: int | str, provider: str, response_id: str, tokens: tuple[int | None, ...]
) -> bytes:
    said = _encoder.encode((workspace, provider, response_id, tokens))
    return blake2b(said, digest_size=FINGERPRINT_BYTES).digest()


def erased_id(workspace: int, packed: bytes) -> bytes:
    """The mark by which a removed event's id is known again, and from which it can't be read."""
    return _mark(workspace.to_bytes(_WORKSPACE_BYTES) + packed)


def erased_answer(answer: bytes) -> bytes:
    """The same for the fingerprint of a provider's answer."""
    return _mark(answer)


def _mark(erased: bytes) -> bytes:
    return blake2b(erased, digest_size=ID_BYTES, person=b"erased").digest()

"""The chain of segments: each one's hash covers its own bytes and the hash before it."""

import struct
from enum import IntEnum
from hashlib import sha256

import msgspec

GENESIS = bytes(32)
"""The hash before the first segment."""

_HEADER = struct.Struct("<QBQQQ")


class SegmentKind(IntEnum):
    EVENTS = 1
    REPRICING = 2
    ERASURE = 3


class Link(msgspec.Struct, frozen=True):
    """One segment as it lies in the journal."""

    sequence: int
    kind: SegmentKind
    rows: int
    """Events or new prices that were acknowledged with it, or events that an erasure removed."""
    total: int
    """Events up to and with this segment, without those that an erasure before it removed."""
    committed_at: int
    hash: bytes
    body: bytes


def link_hash(
    before: bytes, sequence: int, kind: int, rows: int, total: int, committed_at: int, body: bytes
) -> bytes:
    header = _HEADER.pack(sequence, kind, rows, total, committed_at)
    digest = sha256(before + header)
    digest.update(body)
    return digest.digest()


def holds(before: bytes, link: Link) -> bool:
    """Whether the segment's bytes are those that were committed after `before`."""
    expected = link_hash(
        before, link.sequence, link.kind, link.rows, link.total, link.committed_at, link.body
    )
    return expected == link.hash

"""What erasures did to segments, as the chain itself notes it.

A segment's hash stays what it was, and so does every later one: a note, which is a segment of
the chain like others, says what a body's digest is now, or that nothing of a segment is left.
"""

from hashlib import sha256

import msgspec

from tokenwatcher_server.stores.embedded.chain import GENESIS, Link, SegmentKind, holds


class Rewritten(msgspec.Struct, frozen=True, array_like=True):
    """A segment that has another body now."""

    sequence: int
    rows: int
    """That it has now."""
    digest: bytes
    """SHA-256 of its body as it is now."""


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """Neighbouring segments of which nothing is left."""

    first: int
    last: int
    hash: bytes
    """The chain's at the last of them."""
    events: int
    """That were acknowledged with them."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What one step of an erasure did."""

    rewritten: tuple[Rewritten, ...] = ()
    gone: tuple[Gone, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Note)


def encode_note(note: Note) -> bytes:
    return _encoder.encode(note)


class Notes:
    """What notes come to: the last one that names a segment holds."""

    def __init__(self) -> None:
        self.read_until = 0
        self._rewritten: dict[int, Rewritten] = {}
        self._gone: dict[int, Gone] = {}
        self._gone_by_last: dict[int, Gone] = {}

    def add(self, sequence: int, body: bytes) -> None:
        """Take in the next note. Raises ValueError where it is none."""
        try:
            note = _decoder.decode(body)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a note of an erasure: {error}") from None
        self.read_until = sequence
        self._rewritten |= {each.sequence: each for each in note.rewritten}
        for gone in note.gone:
            self._take_in(gone)

    def rewritten(self, sequence: int) -> Rewritten | None:
        return self._rewritten.get(sequence)

    def gone_from(self, first: int) -> Gone | None:
        """The neighbours of which nothing is left, by the first of them."""
        return self._gone.get(first)

    def hash_at(self, sequence: int) -> bytes | None:
        """The chain's hash at the last of neighbours of which nothing is left."""
        gone = self._gone_by_last.get(sequence)
        return None if gone is None else gone.hash

    def joined(self, links: list[Link]) -> tuple[Gone, ...]:
        """These segments, in their order, as gone, with the neighbours that are gone already."""
        found: list[Gone] = []
        for link in links:
            gone = Gone(link.sequence, link.sequence, link.hash, _events(link))
            before = found.pop() if found and found[-1].last + 1 == gone.first else None
            before = before or self._gone_by_last.get(gone.first - 1)
            found.append(_together(before, gone, self._gone.get(gone.last + 1)))
        return tuple(found)

    def _take_in(self, gone: Gone) -> None:
        within = gone.first
        while within <= gone.last:
            self._rewritten.pop(within, None)
            known = self._gone.pop(within, None)
            if known is not None:
                del self._gone_by_last[known.last]
            within = known.last + 1 if known else within + 1
        self._gone[gone.first] = self._gone_by_last[gone.last] = gone


class Walk:
    """Follows the chain link by link, and says what is wrong with it."""

    def __init__(self, notes: Notes, sequence: int = 0, before: bytes = GENESIS) -> None:
        """Begin after a segment with this hash; `total` then counts from there."""
        self._notes = notes
        self._hash = before
        self._total = 0
        self.sequence = sequence
        """The last segment that was followed, or that nothing is left of."""

    def follow(self, link: Link) -> str | None:
        """Go on to a segment; gives its fault, and what follows a fault means nothing."""
        self.pass_gone()
        if link.sequence != self.sequence + 1:
            return f"the one before it, {self.sequence + 1}, is missing"
        rewritten = self._notes.rewritten(link.sequence)
        if rewritten is None and not holds(self._hash, link):
            return "its bytes are not those that were acknowledged"
        if rewritten is not None and sha256(link.body).digest() != rewritten.digest:
            return "its bytes are not those that an erasure left"
        self.sequence, self._hash = link.sequence, link.hash
        self._total += -link.rows if link.kind is SegmentKind.ERASURE else _events(link)
        return None

    def pass_gone(self) -> None:
        """Go past segments of which nothing is left."""
        while (gone := self._notes.gone_from(self.sequence + 1)) is not None:
            self.sequence, self._hash = gone.last, gone.hash
            self._total += gone.events

    def rows_of(self, link: Link) -> int:
        """How many rows a followed segment is to have."""
        rewritten = self._notes.rewritten(link.sequence)
        return link.rows if rewritten is None else rewritten.rows

    @property
    def total(self) -> int:
        """The events up to here, without those that erasures up to here removed."""
        return self._total


def _events(link: Link) -> int:
    return link.rows if link.kind is SegmentKind.EVENTS else 0


def _together(before: Gone | None, gone: Gone, after: Gone | None) -> Gone:
    parts = [each for each in (before, gone, after) if each is not None]
    return Gone(parts[0].first, parts[-1].last, parts[-1].hash, sum(part.events for part in parts))

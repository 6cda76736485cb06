"""The chain holds whatever was taken out of it, in whatever order, as long as it was noted."""

from hashlib import sha256
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher_server.stores.embedded.chain import GENESIS, Link, SegmentKind, link_hash
from tokenwatcher_server.stores.embedded.notes import Note, Notes, Rewritten, Walk, encode_note

BODIES = 12


class Journal:
    """A chain in a dictionary, and what notes say of it."""

    def __init__(self) -> None:
        self.links: dict[int, Link] = {}
        self._last, self._hash, self._total = 0, GENESIS, 0

    def append(self, kind: SegmentKind, rows: int, body: bytes) -> None:
        self._last += 1
        self._total += -rows if kind is SegmentKind.ERASURE else rows
        said = (self._last, kind, rows, self._total, 7)
        self._hash = link_hash(self._hash, *said, body)
        self.links[self._last] = Link(*said, self._hash, body)

    def notes(self) -> Notes:
        notes = Notes()
        for sequence, link in self.links.items():
            if link.kind is SegmentKind.ERASURE:
                notes.add(sequence, link.body)
        return notes

    def erase(self, gone: set[int], changed: set[int]) -> None:
        """Take out and change events' segments, as a step of an erasure does."""
        out = [self.links[each] for each in sorted(gone) if self._holds_events(each)]
        rewritten = []
        for sequence in sorted(changed - gone):
            if self._holds_events(sequence):
                link = self.links[sequence]
                body = link.body + b"!"
                self.links[sequence] = msgspec.structs.replace(link, body=body)
                rewritten.append(Rewritten(sequence, link.rows, sha256(body).digest()))
        note = Note(tuple(rewritten), self.notes().joined(out))
        for link in out:
            del self.links[link.sequence]
        self.append(SegmentKind.ERASURE, sum(link.rows for link in out), encode_note(note))

    def _holds_events(self, sequence: int) -> bool:
        link = self.links.get(sequence)
        return link is not None and link.kind is SegmentKind.EVENTS

    def faults(self) -> list[str]:
        walk = Walk(self.notes())
        for link in self.links.values():
            if (fault := walk.follow(link)) is not None:
                return [fault]
            if walk.total != link.total:
                return ["total"]
        return []


numbers = st.sets(st.integers(1, BODIES + 6), max_size=8)


def erased(steps: list[tuple[set[int], set[int], int]]) -> Journal:
    journal = Journal()
    for number in range(1, BODIES + 1):
        journal.append(SegmentKind.EVENTS, number, b"body %d" % number)
    for gone, changed, more in steps:
        journal.erase(gone, changed)
        for number in range(more):
            journal.append(SegmentKind.EVENTS, 1, b"more %d" % number)
    return journal


steps = st.lists(st.tuples(numbers, numbers, st.integers(0, 2)), max_size=6)


@settings(deadline=None)
@given(steps)
def test_a_chain_holds_whatever_was_taken_out_and_noted(done: Any) -> None:
    assert erased(done).faults() == []


@settings(deadline=None)
@given(steps, st.data())
def test_whatever_else_is_changed_or_lost_is_found(done: Any, data: Any) -> None:
    journal = erased(done)
    end = max(journal.links)
    sequence = data.draw(st.sampled_from(sorted(journal.links)))
    if sequence < end and data.draw(st.booleans()):
        del journal.links[sequence]
    else:
        link = journal.links[sequence]
        if link.kind is SegmentKind.ERASURE:
            changed = msgspec.structs.replace(link, rows=link.rows + 1)
        else:
            changed = msgspec.structs.replace(link, body=link.body + b"?")
        journal.links[sequence] = changed
    assert journal.faults() != []

"""Which events of a commit are new, which are duplicates, and which batches are refused."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

from tokenwatcher_server.events.store import Conflict, Outcome, Stored

IdKey = tuple[int, bytes]
"""A workspace's number and a packed id."""

Key = TypeVar("Key", bound=Hashable)
"""A workspace and an event's id in it, by whatever names the store has for them."""


class Candidates(msgspec.Struct, Generic[Key], frozen=True):
    """What admission needs to know of events, a column each."""

    keys: Sequence[Key]
    digests: Sequence[bytes]
    answers: Sequence[bytes | None]
    """The fingerprint of the provider's answer, where its id proves something."""

    def between(self, start: int, end: int) -> "Candidates[Key]":
        return Candidates(self.keys[start:end], self.digests[start:end], self.answers[start:end])

    def at(self, positions: Sequence[int]) -> "Candidates[Key]":
        """Those at some positions; without a copy where that is all of them."""
        if len(positions) == len(self.keys):
            return self
        return Candidates(
            [self.keys[position] for position in positions],
            [self.digests[position] for position in positions],
            [self.answers[position] for position in positions],
        )


class Admission(Generic[Key]):
    """Sorts batches one after the other; a refused batch leaves no trace for the next.

    `stored` are the digests of those ids that the journal already holds, `answered` those
    fingerprints that it holds. `erased` are ids whose events were removed for good: whatever
    comes under them is a duplicate.
    """

    def __init__(
        self,
        stored: Mapping[Key, bytes],
        answered: Collection[bytes],
        erased: Collection[Key] = (),
    ) -> None:
        self._erased = frozenset(erased)
        self._digests = dict(stored)
        self._answers = set(answered)

    def admit(self, batch: Candidates[Key]) -> tuple[Outcome, Sequence[int]]:
        """Say what becomes of a batch, and which of its positions are to be stored."""
        answers = [answer for answer in batch.answers if answer is not None]
        if not self._all_new(batch.keys, answers):
            return self._admit_each(batch)
        self._digests.update(zip(batch.keys, batch.digests, strict=True))
        self._answers.update(answers)
        return Stored(), range(len(batch.keys))

    def _all_new(self, keys: Sequence[Key], answers: Sequence[bytes]) -> bool:
        """Whether nothing of a batch was seen before, nor twice in it: the usual case."""
        return (
            len(set(keys)) == len(keys)
            and len(set(answers)) == len(answers)
            and self._digests.keys().isdisjoint(keys)
            and self._erased.isdisjoint(keys)
            and self._answers.isdisjoint(answers)
        )

    def _admit_each(self, batch: Candidates[Key]) -> tuple[Outcome, Sequence[int]]:
        digests: dict[Key, bytes] = {}
        answers: set[bytes] = set()
        fresh: list[int] = []
        duplicates: list[int] = []
        conflicts: list[int] = []
        of_each = zip(batch.keys, batch.digests, batch.answers, strict=True)
        for position, (key, digest, answer) in enumerate(of_each):
            held = self._digests.get(key) or digests.get(key)
            if key in self._erased:
                duplicates.append(position)
            elif held is not None:
                (duplicates if held == digest else conflicts).append(position)
            elif answer is not None and (answer in self._answers or answer in answers):
                duplicates.append(position)
            else:
                fresh.append(position)
                digests[key] = digest
                if answer is not None:
                    answers.add(answer)
        if conflicts:
            return Conflict(tuple(conflicts)), []
        self._digests |= digests
        self._answers |= answers
        return Stored(frozenset(duplicates)), fresh

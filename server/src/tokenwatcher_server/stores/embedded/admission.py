"""Which events of a commit are new, which are duplicates, and which batches are refused."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from tokenwatcher_server.events.store import Conflict, Outcome, Stored

IdKey = tuple[int, bytes]
"""A workspace's number and a packed id."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """What admission needs to know of an event."""

    key: IdKey
    digest: bytes
    answer: bytes | None
    """The fingerprint of the provider's answer, where its id proves something."""


class Admission:
    """Sorts batches one after the other; a refused batch leaves no trace for the next.

    `stored` are the digests of those ids that the journal already holds, `answered` those
    fingerprints that it holds.
    """

    def __init__(self, stored: Mapping[IdKey, bytes], answered: Collection[bytes]) -> None:
        self._digests = dict(stored)
        self._answers = set(answered)

    def admit(self, batch: Iterable[Candidate]) -> tuple[Outcome, list[int]]:
        """Say what becomes of a batch, and which of its positions are to be stored."""
        digests: dict[IdKey, bytes] = {}
        answers: set[bytes] = set()
        fresh: list[int] = []
        duplicates: list[int] = []
        conflicts: list[int] = []
        for position, candidate in enumerate(batch):
            key, answer = candidate.key, candidate.answer
            held = self._digests.get(key) or digests.get(key)
            if held is not None:
                (duplicates if held == candidate.digest else conflicts).append(position)
            elif answer is not None and (answer in self._answers or answer in answers):
                duplicates.append(position)
            else:
                fresh.append(position)
                digests[key] = candidate.digest
                if answer is not None:
                    answers.add(answer)
        if conflicts:
            return Conflict(tuple(conflicts)), []
        self._digests |= digests
        self._answers |= answers
        return Stored(frozenset(duplicates)), fresh

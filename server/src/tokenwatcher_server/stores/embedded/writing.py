"""What happens to a group of batches: admitted, encoded, committed, announced."""

from collections.abc import Callable, Mapping, Sequence

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Outcome, Repricing
from tokenwatcher_server.stores.admission import Admission, Candidates, IdKey
from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind
from tokenwatcher_server.stores.embedded.journal import Journal, NewEvents
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex
from tokenwatcher_server.stores.embedded.segment import (
    Segment,
    encode,
)
from tokenwatcher_server.stores.gather import gather, gather_costs
from tokenwatcher_server.stores.identity import (
    LEAST_RESPONSE_ID,
    answer_fingerprint,
    erased_answer,
    erased_id,
    fingerprint,
    pack_id,
    pack_ids,
)
from tokenwatcher_server.stores.schema import TOKEN_COLUMNS


class Writer:
    """Commits to the journal. Used from one thread."""

    def __init__(
        self, journal: Journal, responses: ResponseIndex, announce: Callable[[Link], None]
    ) -> None:
        self._journal = journal
        self._responses = responses
        self._announce = announce

    def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        """See `EventStore.append`.

        1. Pack the ids, and fingerprint the providers' answers.
        2. Look up which of them the journal holds.
        3. Admit the batches one after the other: new events, duplicates, conflicts.
        4. Commit the new events as one segment.
        """
        events = [priced for batch in batches for priced in batch]
        candidates = self._candidates(events)
        admission = self._admission(candidates)
        outcomes: list[Outcome] = []
        admitted: list[int] = []
        start = 0
        for batch in batches:
            end = start + len(batch)
            outcome, fresh = admission.admit(candidates.between(start, end))
            outcomes.append(outcome)
            admitted += [start + position for position in fresh]
            start = end
        if admitted:
            self._commit([events[position] for position in admitted], candidates.at(admitted))
        return outcomes

    def reprice(self, changes: Sequence[Repricing]) -> int:
        """See `EventStore.reprice`."""
        numbers = self._journal.workspace_numbers({change.workspace_id for change in changes})
        keys = [(numbers[change.workspace_id], pack_id(change.event_id)) for change in changes]
        held = self._journal.find(keys)
        found = [
            (change, held[key].sequence)
            for change, key in zip(changes, keys, strict=True)
            if key in held
        ]
        if not found:
            return 0
        columns = gather_costs([change.cost for change, _ in found], {})
        columns["sequence"] = [sequence for _, sequence in found]
        columns["workspace_id"] = [change.workspace_id for change, _ in found]
        columns["id"] = [change.event_id for change, _ in found]
        link = self._journal.commit_repricing(len(found), encode(len(found), columns))
        self._responses.add([], link.sequence, link.hash, len(found))
        self._announce(link)
        return len(found)

    def _admission(self, candidates: Candidates[IdKey]) -> Admission[IdKey]:
        answers = [answer for answer in candidates.answers if answer]
        answered = self._responses.find(answers)
        erased: list[IdKey] = []
        if self._journal.has_erased:
            ids = {erased_id(*key): key for key in candidates.keys}
            marks = {erased_answer(answer): answer for answer in answers}
            found = self._journal.erased([*ids, *marks])
            erased = [ids[mark] for mark in found if mark in ids]
            answered |= {marks[mark] for mark in found if mark in marks}
        stored = {key: held.digest for key, held in self._journal.find(candidates.keys).items()}
        return Admission(stored, answered, erased)

    def _candidates(self, events: Sequence[PricedEvent]) -> Candidates[IdKey]:
        workspaces = [priced.event.workspace_id for priced in events]
        number_of = self._journal.workspace_numbers(set(workspaces))
        numbers = [number_of[workspace_id] for workspace_id in workspaces]
        packed = pack_ids([priced.event.id for priced in events])
        return Candidates(
            list(zip(numbers, packed, strict=True)),
            [priced.event.content_digest for priced in events],
            [
                fingerprint(number, priced.event)
                for number, priced in zip(numbers, events, strict=True)
            ],
        )

    def _commit(self, events: Sequence[PricedEvent], admitted: Candidates[IdKey]) -> None:
        ids: dict[int, list[tuple[bytes, bytes]]] = {}
        for (workspace, packed), digest in zip(admitted.keys, admitted.digests, strict=True):
            ids.setdefault(workspace, []).append((packed, digest))
        body = encode(len(events), gather(events))
        link = self._journal.commit_events(NewEvents(len(events), body, ids))
        answers = [answer for answer in admitted.answers if answer]
        self._responses.add(answers, link.sequence, link.hash, link.rows)
        self._announce(link)


def learn(
    responses: ResponseIndex, link: Link, segment: Segment, numbers: Mapping[str, int]
) -> None:
    """Add a segment of the journal to the response index again."""
    answers = answers_of(segment, numbers) if link.kind is SegmentKind.EVENTS else []
    responses.add(answers, link.sequence, link.hash, link.rows)


def answers_of(segment: Segment, numbers: Mapping[str, int]) -> list[bytes]:
    """The fingerprints of the providers' answers in a segment; `numbers` are the workspaces'."""
    if "response_id" not in segment.columns:
        return []
    tokens = zip(*[segment.values(name) for name in TOKEN_COLUMNS], strict=True)
    named = zip(
        segment.values("workspace_id"),
        segment.values("provider"),
        segment.values("response_id"),
        tokens,
        strict=True,
    )
    return [
        answer_fingerprint(numbers[workspace], provider, response_id, counts)
        for workspace, provider, response_id, counts in named
        if response_id is not None and len(response_id) >= LEAST_RESPONSE_ID
    ]

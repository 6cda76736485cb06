"""Stores events and later prices: looked up, admitted, inserted, and looked up again."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

import msgspec

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import (
    Conflict,
    Outcome,
    QuestionTooLong,
    Repricing,
    Stored,
    StoreUnavailable,
)
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.stores.admission import Admission, Candidates
from tokenwatcher_server.stores.clickhouse.connection import Connection, Silent
from tokenwatcher_server.stores.clickhouse.erasing import (
    answer_mark,
    erased,
    has_erased,
    id_mark,
)
from tokenwatcher_server.stores.clickhouse.keys import Key, Name, find, holders, losers
from tokenwatcher_server.stores.clickhouse.reading import rows_at
from tokenwatcher_server.stores.clickhouse.rows import (
    Columns,
    Row,
    answer_of,
    first_rows,
    later_rows,
    void_rows,
)
from tokenwatcher_server.stores.clickhouse.schema import SENT_TYPES
from tokenwatcher_server.stores.clickhouse.sequence import Sequences

_ANSWER_BYTES: Final = 16


class Writer:
    """Used from one thread; other servers may write at the same time."""

    def __init__(self, connection: Connection, sequences: Sequences) -> None:
        self._connection = connection
        self._sequences = sequences

    def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        """See `EventStore.append`.

        1. Look up which ids and answers are held.
        2. Admit the batches one after the other: new events, duplicates, conflicts.
        3. Insert what is new as one block.
        4. Look up again: another server may have stored the same meanwhile, and been the first.
        """
        candidates = _candidates([priced for batch in batches for priced in batch])
        sequence = self._sequences.take()
        admission = _admission(self._look_up(candidates), *self._erased(candidates))
        outcomes: list[Outcome] = []
        admitted: list[tuple[int, int]] = []
        start = 0
        for number, batch in enumerate(batches):
            outcome, fresh = admission.admit(candidates.between(start, start + len(batch)))
            outcomes.append(outcome)
            admitted += [(number, position) for position in fresh]
            start += len(batch)
        if admitted:
            events = [batches[number][position] for number, position in admitted]
            self._insert(first_rows(events, sequence))
            keys = self._look_up(_candidates(events))
            if lost := {_name_of(priced) for priced in events} - {key.name for key in keys}:
                raise StoreUnavailable(f"ClickHouse: {len(lost)} inserted events are not there")
            counting = {key.name: key for key in holders(keys)}
            for place, priced in zip(admitted, events, strict=True):
                _tell(outcomes, place, priced, counting, sequence)
        return outcomes

    def reprice(self, changes: Sequence[Repricing]) -> int:
        """See `EventStore.reprice`."""
        wanted = {(change.workspace_id, change.event_id) for change in changes}
        with _unanswered():
            keys = find(self._connection, [event_id for _, event_id in wanted], [])
            held = [key for key in holders(keys) if key.name in wanted]
            rows = {_name_of(row.priced): row for row in rows_at(self._connection, held)}
        changed = self._sequences.take()
        found = 0
        for change in changes:
            name: Name = (change.workspace_id, change.event_id)
            if name in rows:
                rows[name] = _repriced(rows[name], changed, found, change)
                found += 1
        if found:
            later = [row for row in rows.values() if row.changed == changed]
            self._insert(later_rows(later, changed))
        return found

    def number(self) -> int:
        """A commit's number for what is not one, such as an erasure."""
        return self._sequences.take()

    def _erased(self, candidates: Candidates[Name]) -> tuple[set[bytes], list[Name]]:
        """The answers and the ids of people's events that were removed."""
        with _unanswered():
            if not has_erased(self._connection):
                return set(), []
        names = {id_mark(name): name for name in candidates.keys}
        answers = {answer_mark(int.from_bytes(each)): each for each in candidates.answers if each}
        with _unanswered():
            found = erased(self._connection, [*names, *answers])
        return (
            {answers[mark] for mark in found if mark in answers},
            [names[mark] for mark in found if mark in names],
        )

    def _look_up(self, candidates: Candidates[Name]) -> list[Key]:
        """The rows of these ids and answers; what must not count is taken out first.

        Of that there is something only where two servers have just stored the same, or one of them
        died before it looked.
        """
        ids = [event_id for _, event_id in candidates.keys]
        with _unanswered():
            keys = find(self._connection, ids, _numbers(candidates.answers))
        late = list(losers(keys))
        if late:
            self._insert(void_rows(late))
        return keys + [msgspec.structs.replace(key, void=1) for key in late]

    def _insert(self, columns: Columns) -> None:
        """Insert rows; once more where it is not known whether they came through.

        Who has waited for all of a server's time is told so: it is looked up when they send again.
        """
        token = _token()
        try:
            self._connection.insert("events", columns, SENT_TYPES, token)
        except Silent:
            raise
        except StoreUnavailable:
            self._connection.insert("events", columns, SENT_TYPES, token)


def probe(connection: Connection, clock: Clock) -> None:
    """Write something to disk. Raises StoreUnavailable where that fails."""
    connection.insert("events_written", {"at": [clock.now_us()]}, {"at": "Int64"}, _token())


def _tell(
    outcomes: list[Outcome],
    place: tuple[int, int],
    priced: PricedEvent,
    counting: dict[Name, Key],
    sequence: int,
) -> None:
    """Change a batch's outcome where an event of it was stored by another server first."""
    number, position = place
    outcome = outcomes[number]
    key = counting.get(_name_of(priced))
    if key is not None and key.sequence == sequence:
        return
    if key is not None and key.content_digest != priced.event.content_digest:
        held = outcome.positions if isinstance(outcome, Conflict) else ()
        outcomes[number] = Conflict((*held, position))
    elif isinstance(outcome, Stored):
        outcomes[number] = Stored(outcome.duplicates | {position})


def _candidates(events: Sequence[PricedEvent]) -> Candidates[Name]:
    answers = (answer_of(priced.event) for priced in events)
    return Candidates(
        [_name_of(priced) for priced in events],
        [priced.event.content_digest for priced in events],
        [answer.to_bytes(_ANSWER_BYTES) if answer else None for answer in answers],
    )


def _admission(
    known: Sequence[Key], erased_answers: set[bytes], erased_names: list[Name]
) -> Admission[Name]:
    """What is void is known too: its id would come back to where the void row is."""
    ordered = sorted(known, key=lambda key: (-key.sequence, -key.position))
    held = {key.answer.to_bytes(_ANSWER_BYTES) for key in holders(known) if key.answer}
    return Admission(
        {key.name: key.content_digest for key in ordered}, held | erased_answers, erased_names
    )


def _numbers(answers: Iterable[bytes | None]) -> list[int]:
    return [int.from_bytes(answer) for answer in answers if answer is not None]


def _repriced(row: Row, changed: int, change: int, wanted: Repricing) -> Row:
    priced = msgspec.structs.replace(row.priced, cost=wanted.cost)
    return Row(priced, row.sequence, row.position, changed, change, row.costs)


def _name_of(priced: PricedEvent) -> Name:
    return priced.event.workspace_id, priced.event.id


def _token() -> str:
    return uuid4().hex


@contextmanager
def _unanswered() -> Iterator[None]:
    """A look-up that takes too long keeps a commit from being made, like one without an answer."""
    try:
        yield
    except QuestionTooLong:
        raise StoreUnavailable("ClickHouse: looking up ids takes too long") from None

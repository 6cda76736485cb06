"""What every store of events promises. `tests/stores/test_contract.py` holds them to it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.query import EventFilter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.kernel.errors import InstanceRefused
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period

QUESTION_SECONDS = 10.0
"""What a store gives one call of a question, unless it is told otherwise."""


class Stored(msgspec.Struct, frozen=True):
    """A batch is on disk. `duplicates` holds the positions that were already there."""

    duplicates: frozenset[int] = frozenset()


class Conflict(msgspec.Struct, frozen=True):
    """Nothing of the batch was stored: these positions reuse an id with other content."""

    positions: tuple[int, ...]


Outcome = Stored | Conflict


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it was stored, with its present cost and its place in the journal."""

    priced: PricedEvent
    sequence: int


class Repricing(msgspec.Struct, frozen=True):
    """A new cost for a stored event; applied beside the old one, never over it."""

    workspace_id: WorkspaceId
    event_id: str
    cost: Cost


class Verification(msgspec.Struct, frozen=True, rename="camel"):
    """What a check found. `faults` name each what and where; a sound store has none."""

    sound: bool
    events: int
    commits: int
    faults: tuple[str, ...] = ()


class StoreUnavailable(Exception):
    """The store can't commit now (disk full, I/O error, queue full). Nothing was stored.

    The message is for the operator's log, not for the caller.
    """


class QuestionTooLong(Exception):
    """A question took longer than the store gives one, and was ended."""


class StoreRefused(InstanceRefused):
    """The store's files can't be used as they are; the message says why and what to do."""


class EventStore(Protocol):
    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        """Store each batch whole or not at all, all in one transaction, durable on return.

        An event is a duplicate, acknowledged and not stored again, when its workspace already
        holds its id with the same digest, or holds the same provider, response id (of 16
        characters or more) and token counts. The same id with another digest is a conflict,
        which refuses its own batch alone. Both are found within a batch, between the batches
        of one call, and against everything stored. Raises StoreUnavailable.
        """
        ...

    async def usage(self, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
        """Answer every query from one snapshot.

        The snapshot holds every event acknowledged before the call. Sums are exact. Like every
        question it raises QuestionTooLong after its time, and StoreUnavailable where the store
        can't say what it holds.
        """
        ...

    async def events(self, wanted: EventFilter) -> list[StoredEvent]:
        """The newest events first, by (occurred_at, id)."""
        ...

    async def event(self, scope: Scope, event_id: str) -> StoredEvent | None:
        """One event, or None where the scope holds no such id."""
        ...

    async def tag_keys(self, scope: Scope) -> list[str]:
        """The tag keys in use, most used first, at most a hundred."""
        ...

    async def reprice(self, changes: Sequence[Repricing]) -> int:
        """Give stored events a new cost, durable on return; says how many were found."""
        ...

    async def rebuild_totals(self, period: Period, workspaces: Sequence[WorkspaceId] | None) -> int:
        """Make the sums of the hours in a period anew from the events, of some workspaces or all.

        They are equal before and after, as they are written with the events. Gives how many
        events were summed; 0 where the store can't make them anew beside its other work.
        """
        ...

    async def erase(self, erasures: Sequence[Erasure]) -> list[int]:
        """Remove or change stored events for good, durable on return; says how many for each.

        When it returns, what was erased is in no answer and in no copy, and no more of it is in
        the store's files than its engine can't help; what is left answers, verifies and can be
        copied as if the rest had never been. It holds for all that was acknowledged before the
        call, and events go on being taken in.

        An event that was removed as a person's is never stored again: sent once more, under its id
        or as the same answer of its provider, it is a duplicate, whatever else it says. One that
        was removed because it was old is forgotten, and new when it comes again.

        Ended midway it is safe: what is done stays done, and the rest is done when it is asked for
        again, or when the store is opened. Raises StoreUnavailable.
        """
        ...

    async def verify(self) -> Verification:
        """Check everything stored against itself: hashes, ids, and what answers questions."""
        ...

    async def ready(self) -> bool:
        """True when a commit would work now: the disk takes a write."""
        ...

    async def statistics(self) -> Mapping[str, int]:
        """Counters for `/metrics`, such as events stored and how far queries lag behind."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then release the files."""
        ...

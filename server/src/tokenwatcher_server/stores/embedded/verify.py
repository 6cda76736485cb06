"""Checks the store against itself: the chain, the ids, and the columns.

1. Read from one snapshot of the columns how far they come and what they sum to.
2. Walk the chain up to there: every hash, every number, every id.
3. Compare the sums, with each event's latest price.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from tokenwatcher_server.events.store import Verification
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.stores.embedded.chain import GENESIS, Link, SegmentKind, holds
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.identity import pack_ids
from tokenwatcher_server.stores.embedded.journal import JournalReader
from tokenwatcher_server.stores.embedded.segment import Segment, decode

MOST_FAULTS = 20

_SUMS = (
    "select count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
    " coalesce(sum(cost_total), 0) from events"
)
EventKey = tuple[str, str]
"""A workspace and an id."""


class Sums(msgspec.Struct):
    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


def verify(journal: Path, columns: Columns) -> Verification:
    """Check all that was applied to the columns so far; reads beside a running writer."""
    with columns.snapshot() as snapshot:
        [(applied,)] = snapshot.rows("select sequence from applied")
        [found] = snapshot.rows(_SUMS)
    with closing(JournalReader(journal)) as reader:
        check = _Check(reader, applied)
        faults = list(check.faults())
        if not faults and (differs := _difference(check.sums, Sums(*map(int, found)))):
            faults.append(differs)
    return Verification(
        sound=not faults,
        events=check.sums.events,
        commits=check.commits,
        faults=tuple(faults[:MOST_FAULTS]),
    )


class _Check:
    """One walk along the chain, up to a sequence number."""

    def __init__(self, reader: JournalReader, last: int) -> None:
        self._reader = reader
        self._last = last
        self._numbers = reader.workspace_numbers()
        self.sums = Sums()
        self.commits = 0

    def faults(self) -> Iterator[str]:
        repriced = dict(self._repriced())
        before, total = GENESIS, 0
        for link in self._links():
            self.commits += 1
            where = f"commit {link.sequence}"
            if link.sequence != self.commits:
                yield f"{where}: the one before it, {self.commits}, is missing"
                return
            if not holds(before, link):
                yield f"{where}: its bytes are not those that were acknowledged"
                return
            before = link.hash
            if link.kind is SegmentKind.EVENTS:
                total += link.rows
                yield from self._segment_faults(where, link, repriced)
            if link.total != total:
                yield f"{where}: it counts {link.total} events where there are {total}"
        if self.commits != self._last:
            yield f"the journal ends at commit {self.commits}, the columns at {self._last}"

    def _links(self) -> Iterator[Link]:
        for link in self._reader.links(0):
            if link.sequence > self._last:
                return
            yield link

    def _repriced(self) -> Iterator[tuple[EventKey, int | None]]:
        """The latest cost of every event that was priced again."""
        for link in self._links():
            if link.kind is SegmentKind.REPRICING:
                try:
                    segment = decode(link.body)
                except ValueError:
                    return  # the walk names it
                keys = zip(segment.values("workspace_id"), segment.values("id"), strict=True)
                yield from zip(keys, segment.values("cost_total"), strict=True)

    def _segment_faults(
        self, where: str, link: Link, repriced: dict[EventKey, int | None]
    ) -> Iterator[str]:
        segment = decode(link.body)
        if segment.rows != link.rows:
            yield f"{where}: it holds {segment.rows} events and says {link.rows}"
        workspaces, ids = segment.values("workspace_id"), segment.values("id")
        keys = [
            (self._numbers.get(workspace, 0), packed)
            for workspace, packed in zip(workspaces, pack_ids(ids), strict=True)
        ]
        held = self._reader.find(keys)
        lost = [
            event_id
            for event_id, key in zip(ids, keys, strict=True)
            if key not in held or held[key].sequence != link.sequence
        ]
        if lost:
            yield f"{where}: {len(lost)} of its ids are not known, such as {lost[0]}"
        self._add(segment, list(zip(workspaces, ids, strict=True)), repriced)

    def _add(
        self, segment: Segment, keys: list[EventKey], repriced: dict[EventKey, int | None]
    ) -> None:
        sums = self.sums
        sums.events += segment.rows
        sums.input_tokens += _total(segment, INPUT_BUCKETS)
        sums.output_tokens += _total(segment, OUTPUT_BUCKETS)
        costs = segment.values("cost_total")
        if repriced:
            costs = [repriced.get(key, cost) for key, cost in zip(keys, costs, strict=True)]
        sums.cost += sum(filter(None, costs))


def _total(segment: Segment, buckets: tuple[str, ...]) -> int:
    return sum(sum(filter(None, segment.values(bucket))) for bucket in buckets)


def _difference(journal: Sums, columns: Sums) -> str | None:
    for name in Sums.__struct_fields__:
        ours, theirs = getattr(journal, name), getattr(columns, name)
        if ours != theirs:
            return (
                f"the columns say {name} = {theirs} where the journal says {ours}:"
                " stop the server and run `tokenwatcher store rebuild`"
            )
    return None

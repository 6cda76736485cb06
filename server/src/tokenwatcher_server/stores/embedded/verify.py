"""Checks the store against itself: the chain, the ids, the answers, and the columns.

1. Read from one snapshot of the columns how far they come, and what each commit's rows sum to.
2. Walk the chain up to there: every hash, every number, every id, every provider's answer.
3. Compare each commit's sums, with its events' latest prices, and count the answers.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec

from tokenwatcher_server.events.store import StoreUnavailable, Verification
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.stores.embedded import hours
from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind
from tokenwatcher_server.stores.embedded.columns import Columns, Snapshot
from tokenwatcher_server.stores.embedded.damage import REMEDY, readable
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.notes import Notes, Walk
from tokenwatcher_server.stores.embedded.response_index import Extent, ResponseIndex
from tokenwatcher_server.stores.embedded.segment import Segment, decode
from tokenwatcher_server.stores.embedded.writing import answers_of
from tokenwatcher_server.stores.identity import pack_ids

MOST_FAULTS = 20

_SUMS = (
    "select sequence, count(*), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
    " coalesce(sum(cost_total), 0) from events group by sequence order by sequence"
)
_ROWS_AT_ONCE = 4_096
EventKey = tuple[str, str]
"""A workspace and an id."""


class Sums(msgspec.Struct, frozen=True):
    """What a commit's events come to."""

    events: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0


def verify(
    journal: Path, columns: Columns, responses: ResponseIndex, extent: Extent
) -> Verification:
    """Check all that was applied to the columns so far; reads beside a running writer.

    `extent` is that of the response index at a moment before.
    """
    found: list[str] = []
    check: _Check | None = None
    try:
        with readable(), columns.snapshot() as snapshot, closing(JournalReader(journal)) as reader:
            check = _Check(reader, snapshot, responses, extent)
            for fault in islice(check.faults(), MOST_FAULTS):
                found.append(fault)
    except StoreUnavailable as damage:
        found.append(str(damage))
    return Verification(
        sound=not found,
        events=check.events if check else 0,
        commits=check.commits if check else 0,
        faults=tuple(found),
    )


class _Check:
    """One walk along the chain, as far as the columns have come."""

    def __init__(
        self, reader: JournalReader, snapshot: Snapshot, responses: ResponseIndex, extent: Extent
    ) -> None:
        self._reader = reader
        self._responses = responses
        self._extent = extent
        self._numbers = reader.workspace_numbers()
        [(self._last,)] = snapshot.rows("select sequence from applied")
        self._differing = list(hours.differences(snapshot.cursor))
        self._found = _CommitSums(snapshot)
        reader.read_notes(notes := Notes())
        self._walk = Walk(notes)
        self._answers = 0
        self.events = 0
        self.commits = 0

    def faults(self) -> Iterator[str]:
        repriced = dict(self._repriced())
        for link in self._links():
            self.commits += 1
            where = f"commit {link.sequence}"
            if (fault := self._walk.follow(link)) is not None:
                yield f"{where}: {fault}"
                return
            if link.kind is SegmentKind.EVENTS:
                yield from self._segment_faults(where, link, repriced)
            if link.total != self._walk.total:
                yield f"{where}: it counts {link.total} events where there are {self._walk.total}"
        yield from self._end_faults()

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
        self.events += segment.rows
        if segment.rows != (rows := self._walk.rows_of(link)):
            yield f"{where}: it holds {segment.rows} events and says {rows}"
        workspaces, ids = segment.values("workspace_id"), segment.values("id")
        if lost := self._lost_ids(link.sequence, workspaces, ids):
            yield f"{where}: {len(lost)} of its ids are not known, such as {lost[0]}"
        answers = answers_of(segment, self._numbers)
        if link.sequence <= self._extent.covered:
            self._answers += len(answers)
        if unknown := len(answers) - len(self._responses.find(answers)):
            yield f"{where}: {unknown} of its providers' answers are not known: {REMEDY}"
        sums = _sums(segment, list(zip(workspaces, ids, strict=True)), repriced)
        if differs := _difference(sums, self._found.take(link.sequence)):
            yield f"{where}: {differs}"

    def _lost_ids(self, sequence: int, workspaces: list[str], ids: list[str]) -> list[str]:
        keys = [
            (self._numbers.get(workspace, 0), packed)
            for workspace, packed in zip(workspaces, pack_ids(ids), strict=True)
        ]
        held = self._reader.find(keys)
        return [
            event_id
            for event_id, key in zip(ids, keys, strict=True)
            if key not in held or held[key].sequence != sequence
        ]

    def _end_faults(self) -> Iterator[str]:
        self._walk.pass_gone()
        if self._walk.sequence < self._last:
            yield f"the journal ends at commit {self._walk.sequence}, the columns at {self._last}"
        if self.events != self._walk.total:
            yield f"the journal holds {self.events} events where it counts {self._walk.total}"
        if (surplus := self._found.surplus()) is not None:
            yield f"the columns hold events of a commit {surplus} that has none: {REMEDY}"
        for table, hour in self._differing:
            yield f"the hourly sums ({table}) at {iso(hour)} are not the events': {REMEDY}"
        if self._extent.fingerprints != self._answers:
            yield (
                f"the response index knows {self._extent.fingerprints} providers' answers where "
                f"the journal has {self._answers}: {REMEDY}"
            )


class _CommitSums:
    """What the columns' rows come to, commit by commit, for a walk that takes them in order."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._rows = self._read(snapshot)
        self._next = next(self._rows, None)
        self._passed: int | None = None

    def take(self, sequence: int) -> Sums:
        while self._next is not None and self._next[0] < sequence:
            self._passed = self._next[0]
            self._next = next(self._rows, None)
        if self._next is None or self._next[0] != sequence:
            return Sums()
        sums = self._next[1]
        self._next = next(self._rows, None)
        return sums

    def surplus(self) -> int | None:
        """A commit whose rows were not asked for."""
        return self._passed if self._next is None else self._next[0]

    @staticmethod
    def _read(snapshot: Snapshot) -> Iterator[tuple[int, Sums]]:
        snapshot.cursor.execute(_SUMS)
        while rows := snapshot.cursor.fetchmany(_ROWS_AT_ONCE):
            for sequence, *sums in rows:
                yield sequence, Sums(*map(int, sums))


def _sums(segment: Segment, keys: list[EventKey], repriced: dict[EventKey, int | None]) -> Sums:
    costs = segment.values("cost_total")
    if repriced:
        costs = [repriced.get(key, cost) for key, cost in zip(keys, costs, strict=True)]
    return Sums(
        events=segment.rows,
        input_tokens=_total(segment, INPUT_BUCKETS),
        output_tokens=_total(segment, OUTPUT_BUCKETS),
        cost=sum(filter(None, costs)),
    )


def _total(segment: Segment, buckets: tuple[str, ...]) -> int:
    return sum(sum(filter(None, segment.values(bucket))) for bucket in buckets)


def _difference(journal: Sums, columns: Sums) -> str | None:
    for name in Sums.__struct_fields__:
        ours, theirs = getattr(journal, name), getattr(columns, name)
        if ours != theirs:
            return f"the columns say {name} = {theirs} where the journal says {ours}: {REMEDY}"
    return None

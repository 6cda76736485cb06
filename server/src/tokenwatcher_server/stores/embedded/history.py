"""The journal read from end to end, beside a running server or without one."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Repricing, StoreRefused
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind
from tokenwatcher_server.stores.embedded.files import StoreFiles
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.notes import Notes, Walk
from tokenwatcher_server.stores.embedded.segment import Segment, decode
from tokenwatcher_server.stores.gather import Values
from tokenwatcher_server.stores.identity import pack_ids
from tokenwatcher_server.stores.scatter import (
    EVENT_NAMES,
    REPRICING_NAMES,
    scatter,
    scatter_costs,
)

LINKS_AT_ONCE = 256
"""Read before the journal is let go of for a moment, so that its log can be folded in."""


class EmbeddedHistory:
    """See `events/history.py`. Raises StoreRefused for a folder without a journal."""

    def __init__(self, files: StoreFiles) -> None:
        if not files.journal.is_file():
            raise StoreRefused(f"{files.folder} holds no events: there is no {files.journal.name}")
        self._files = files
        self._reader = JournalReader(files.journal)
        self._head = self._reader.head()
        self._numbers = self._reader.workspace_numbers()

    @property
    def events(self) -> int:
        return self._head.total

    def commits(self) -> Iterator[Sequence[PricedEvent]]:
        for link in self._links():
            if link.kind is SegmentKind.EVENTS:
                yield self._events(link)

    def repricings(self) -> Iterator[Sequence[Repricing]]:
        for link in self._links():
            if link.kind is SegmentKind.REPRICING:
                yield _repricings(decode(link.body))

    def close(self) -> None:
        self._reader.close()

    def _links(self) -> Iterator[Link]:
        notes = Notes()
        walk = Walk(notes)
        while walk.sequence < self._head.sequence:
            with self._reader.moment():
                links = list(islice(self._reader.links(walk.sequence), LINKS_AT_ONCE))
                self._reader.read_notes(notes)
            for link in links:
                if link.sequence > self._head.sequence:
                    return
                if walk.follow(link) is not None:
                    raise self._refused(f"commit {link.sequence} is not what was acknowledged")
                yield link
            if not links:
                return

    def _events(self, link: Link) -> list[PricedEvent]:
        try:
            return self._with_digests(link)
        except KeyError:
            pass
        with self._reader.moment():  # some of them may have been erased a moment ago
            now = self._reader.link(link.sequence)
            try:
                return [] if now is None else self._with_digests(now)
            except KeyError:
                raise self._refused("an acknowledged event's id is not known any more") from None

    def _with_digests(self, link: Link) -> list[PricedEvent]:
        segment = decode(link.body)
        columns = {name: segment.values(name) for name in EVENT_NAMES}
        return scatter(columns | {"content_digest": self._digests(columns)})

    def _refused(self, fault: str) -> StoreRefused:
        return StoreRefused(
            f"{self._files.journal}: {fault}; `tokenwatcher store verify` says more"
        )

    def _digests(self, columns: Mapping[str, Values]) -> list[bytes]:
        workspaces, packed = columns["workspace_id"], pack_ids(columns["id"])
        keys = [(self._numbers[each], one) for each, one in zip(workspaces, packed, strict=True)]
        held = self._reader.find(keys)
        return [held[key].digest for key in keys]


def _repricings(segment: Segment) -> list[Repricing]:
    columns = {name: segment.values(name) for name in REPRICING_NAMES}
    # without counts: a repricing's costs were gathered alone
    costs = scatter_costs(columns, [Tokens()] * segment.rows)
    named = zip(columns["workspace_id"], columns["id"], costs, strict=True)
    return [Repricing(*each) for each in named]

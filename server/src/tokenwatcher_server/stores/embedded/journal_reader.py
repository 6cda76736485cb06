"""The journal as it is read: beside its writer, and by it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec

from tokenwatcher_server.stores.admission import IdKey
from tokenwatcher_server.stores.embedded import journal_file
from tokenwatcher_server.stores.embedded.chain import GENESIS, Link, SegmentKind
from tokenwatcher_server.stores.embedded.damage import changed
from tokenwatcher_server.stores.embedded.notes import Notes, Walk

LINKS_AT_ONCE = 128
SEGMENT = "sequence, kind, rows, total, committed_at, hash, body"


# position n of a packed run of 16-byte values, for n below the last parameter
POSITIONS = "with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?3)"
_FIND_IDS = (
    POSITIONS + " select n.i, ids.digest, ids.sequence from n cross join ids"
    " on ids.workspace = ?1 and ids.id = substr(?2, n.i * 16 + 1, 16)"
)


class Held(msgspec.Struct, frozen=True, gc=False):
    """What the journal knows of an id."""

    digest: bytes
    sequence: int


class Head(msgspec.Struct, frozen=True):
    """The end of the chain."""

    sequence: int = 0
    total: int = 0
    hash: bytes = GENESIS


class JournalReader:
    """Reads the chain beside the writer, on a connection of its own; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = journal_file.connect(path, create=False)
        self._connection.execute("pragma query_only = on")

    def head(self) -> Head:
        return read_head(self._connection)

    def links(self, after: int) -> Iterator[Link]:
        """The segments behind a sequence number, in order."""
        rows = self._connection.execute(
            f"select {SEGMENT} from segments where sequence > ? order by sequence",
            (after,),
        )
        for sequence, kind, *rest in rows:
            yield Link(sequence, SegmentKind(kind), *rest)

    def links_in_portions(self, after: int) -> Iterator[Link]:
        """The same, letting go of the journal now and then, so that its log can be folded in."""
        while portion := list(islice(self.links(after), LINKS_AT_ONCE)):
            yield from portion
            after = portion[-1].sequence

    def sound_links(self, after: int) -> Iterator[Link]:
        """The same, each checked first: what is made of them may be all that is ever looked at.

        Raises StoreUnavailable, naming the commit, for bytes that are not those acknowledged.
        """
        before = self.hash_at(after)
        if before is None:  # among segments of which nothing is left: no hash to begin with
            yield from self.links_in_portions(after)
            return
        walk = Walk(notes := Notes(), after, before)
        while True:
            with self.moment():
                portion = list(islice(self.links(walk.sequence), LINKS_AT_ONCE))
                self.read_notes(notes)
            for link in portion:
                if walk.follow(link) is not None:
                    raise changed(link.sequence)
                yield link
            if not portion:
                return

    def link(self, sequence: int) -> Link | None:
        """One segment as it is now, None where nothing of it is left."""
        link = next(self.links(sequence - 1), None)
        return link if link is not None and link.sequence == sequence else None

    def read_notes(self, notes: Notes) -> None:
        """Add what erasures noted since these were read."""
        if journal_file.knows_erasures(self._connection):
            found = self._connection.execute(
                "select sequence, body from segments where kind <> 1 and kind = ? and sequence > ?"
                " order by sequence",
                (SegmentKind.ERASURE, notes.read_until),
            )
            for sequence, body in found:
                notes.add(sequence, body)

    def repricings(self) -> list[int]:
        """The sequence numbers of the later prices."""
        found = self._connection.execute(
            "select sequence from segments where kind <> 1 and kind = ? order by sequence",
            (SegmentKind.REPRICING,),
        ).fetchall()
        return [sequence for (sequence,) in found]

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let everything that is read in the block be of one moment."""
        self._connection.execute("begin")
        try:
            yield
        finally:
            self._connection.execute("commit")

    def hash_at(self, sequence: int) -> bytes | None:
        if sequence == 0:
            return GENESIS
        rows = self._connection.execute(
            "select hash from segments where sequence = ?", (sequence,)
        ).fetchall()
        if rows:
            return bytes(rows[0][0])
        self.read_notes(notes := Notes())
        return notes.hash_at(sequence)

    def workspace_numbers(self) -> dict[str, int]:
        return dict(self._connection.execute("select id, number from workspaces").fetchall())

    def find(self, keys: Sequence[IdKey]) -> dict[IdKey, Held]:
        return find_ids(self._connection, keys)

    def close(self) -> None:
        self._connection.close()


def read_head(connection: sqlite3.Connection) -> Head:
    rows = connection.execute(
        "select sequence, total, hash from segments order by sequence desc limit 1"
    ).fetchall()
    return Head(*rows[0]) if rows else Head()


def find_ids(connection: sqlite3.Connection, keys: Sequence[IdKey]) -> dict[IdKey, Held]:
    by_workspace: dict[int, list[bytes]] = {}
    for workspace, packed in keys:
        by_workspace.setdefault(workspace, []).append(packed)
    found: dict[IdKey, Held] = {}
    for workspace, ids in by_workspace.items():
        rows = connection.execute(_FIND_IDS, (workspace, b"".join(ids), len(ids))).fetchall()
        for position, digest, sequence in rows:
            found[workspace, ids[position]] = Held(digest, sequence)
    return found

"""The journal: a SQLite file that holds what was acknowledged, as a chain of segments.

A commit is one transaction: the ids, which make duplicates and conflicts known, and one
segment with the events. The Python driver gives up the interpreter at every step of a
statement, so each statement here handles a whole group in one step.
"""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.stores.admission import IdKey
from tokenwatcher_server.stores.embedded import journal_file
from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind, link_hash
from tokenwatcher_server.stores.embedded.journal_file import connect
from tokenwatcher_server.stores.embedded.journal_reader import (
    POSITIONS,
    SEGMENT,
    Head,
    Held,
    find_ids,
    read_head,
)

RESERVE_BYTES = 96 * 1024 * 1024
"""Kept free on the disk: what was acknowledged must still fit into the columns, so that questions
go on being answered while a full disk takes nothing new. They hold so much in memory before they
write it, and the journal's own log is small beside that."""
DIGEST_BYTES = 16
_ADD_IDS = (
    POSITIONS + " insert into ids select"
    " ?1, substr(?2, i * 16 + 1, 16), substr(?4, i * 16 + 1, 16), ?5 from n"
)
_FIND_ERASED = (
    POSITIONS + " select n.i from n cross join erased on erased.mark = substr(?2, n.i * 16 + 1, 16)"
)


class NewEvents(msgspec.Struct, frozen=True):
    """Events to commit: their segment, and their ids by workspace as (packed id, digest)."""

    rows: int
    body: bytes
    ids: dict[int, list[tuple[bytes, bytes]]]


class Change(msgspec.Struct, frozen=True):
    """What a step of an erasure does to what is stored."""

    events: int
    """That it removes."""
    note: bytes
    """What the chain says of it."""
    bodies: Sequence[tuple[int, bytes]]
    """Segments that are changed, and what they are then."""
    gone: Sequence[int]
    """Segments of which nothing is left."""
    ids: Sequence[IdKey]
    """Those that are forgotten."""
    marks: Sequence[bytes]
    """By which they are known when they are sent again."""


class Journal:
    """The one writer. Used from a single thread, except for `head`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._folder = path.parent
        self._connection = connect(path, create=True)
        self._workspaces = dict[str, int](
            self._connection.execute("select id, number from workspaces").fetchall()
        )
        self.head = read_head(self._connection)
        self.has_erased = bool(self._connection.execute("select 1 from erased limit 1").fetchall())
        self._path = path
        journal_file.remove_copy(path)
        with suppress(StoreUnavailable):  # what was erased just before a crash is in the log yet
            journal_file.fold_in(self._connection)

    def workspace_numbers(self, workspace_ids: set[str]) -> dict[str, int]:
        """Give each workspace its number, for ever."""
        if missing := workspace_ids - self._workspaces.keys():
            with self._transaction():
                numbered = list(enumerate(sorted(missing), len(self._workspaces) + 1))
                self._connection.executemany(
                    "insert into workspaces (number, id) values (?, ?)", numbered
                )
            self._workspaces |= {workspace_id: number for number, workspace_id in numbered}
        return {workspace_id: self._workspaces[workspace_id] for workspace_id in workspace_ids}

    def find(self, keys: Sequence[IdKey]) -> dict[IdKey, Held]:
        return find_ids(self._connection, keys)

    def commit_events(self, new: NewEvents) -> Link:
        """Store events durably. Raises StoreUnavailable, and then nothing was stored."""
        with self._transaction():
            link = self._add_segment(SegmentKind.EVENTS, new.rows, new.rows, new.body)
            for workspace, pairs in new.ids.items():
                ids = b"".join([packed for packed, _ in pairs])
                digests = b"".join([digest for _, digest in pairs])
                if len(digests) != DIGEST_BYTES * len(pairs):
                    raise ValueError(f"a content digest has {DIGEST_BYTES} bytes")
                self._connection.execute(
                    _ADD_IDS, (workspace, ids, len(pairs), digests, link.sequence)
                )
        self._advance(link)
        return link

    def commit_repricing(self, rows: int, body: bytes) -> Link:
        with self._transaction():
            link = self._add_segment(SegmentKind.REPRICING, rows, 0, body)
        self._advance(link)
        return link

    def erased(self, marks: Sequence[bytes]) -> set[bytes]:
        """Which of these are those of removed events."""
        if not marks:
            return set()
        found = self._connection.execute(
            _FIND_ERASED, (None, b"".join(marks), len(marks))
        ).fetchall()
        return {marks[position] for (position,) in found}

    def commit_erasure(self, change: Change) -> Link:
        """Take out of the store what is erased, and note it in the chain, in one transaction."""
        execute = self._connection.executemany
        with self._transaction():
            execute("update segments set body = ?2 where sequence = ?1", change.bodies)
            execute("delete from segments where sequence = ?", [(one,) for one in change.gone])
            execute("delete from ids where workspace = ? and id = ?", change.ids)
            execute("insert or ignore into erased values (?)", [(one,) for one in change.marks])
            link = self._add_segment(
                SegmentKind.ERASURE, change.events, -change.events, change.note
            )
        self.has_erased = self.has_erased or bool(change.marks)
        self._advance(link)
        return link

    def pending(self) -> bytes | None:
        """The erasure that was begun and not finished."""
        rows = self._connection.execute("select erasure from pending").fetchall()
        return rows[0][0] if rows else None

    def begin_erasure(self, erasure: bytes) -> None:
        with self._transaction():
            self._connection.execute("insert into pending values (?)", (erasure,))

    def end_erasure(self, *, thoroughly: bool) -> None:
        """Leave no byte of what was erased in the files, then forget the erasure itself.

        With `thoroughly` the file is written anew, which takes all commits' time; without it
        only once half of it is free. Raises StoreUnavailable, and then it is still pending.
        """
        try:
            if thoroughly or journal_file.half_is_free(self._connection):
                journal_file.write_anew(self._connection, self._path)
            journal_file.fold_in(self._connection)
            self._connection.execute("delete from pending")
            journal_file.fold_in(self._connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the journal can't be cleaned up: {error}") from error

    def probe(self) -> None:
        """Write durably and take it back out. Raises StoreUnavailable where that fails."""
        with self._transaction():
            self._connection.execute("insert into workspaces (number, id) values (-1, '')")
            self._connection.execute("delete from workspaces where number = -1")

    def close(self) -> None:
        self._connection.close()

    def _advance(self, link: Link) -> None:
        self.head = Head(link.sequence, link.total, link.hash)

    def _add_segment(self, kind: SegmentKind, rows: int, events: int, body: bytes) -> Link:
        head, now = self.head, self._clock.now_us()
        sequence, total = head.sequence + 1, head.total + events
        link = Link(
            sequence=sequence,
            kind=kind,
            rows=rows,
            total=total,
            committed_at=now,
            hash=link_hash(head.hash, sequence, kind, rows, total, now, body),
            body=body,
        )
        self._connection.execute(
            f"insert into segments ({SEGMENT}) values (?, ?, ?, ?, ?, ?, ?)",
            msgspec.structs.astuple(link),
        )
        return link

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._check_room()
            self._connection.execute("begin immediate")
            yield
            self._connection.execute("commit")
        except sqlite3.Error as error:
            self._roll_back()
            raise StoreUnavailable(f"the journal can't commit: {error}") from error
        except BaseException:
            self._roll_back()
            raise

    def _check_room(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < RESERVE_BYTES:
            raise StoreUnavailable(
                f"the disk is nearly full: {free} bytes are free, and {RESERVE_BYTES} are kept"
            )

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("rollback")

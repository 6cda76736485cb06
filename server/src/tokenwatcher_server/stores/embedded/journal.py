"""The journal: a SQLite file that holds what was acknowledged, as a chain of segments.

A commit is one transaction: the ids, which make duplicates and conflicts known, and one
segment with the events. The Python driver gives up the interpreter at every step of a
statement, so each statement here handles a whole group in one step.
"""

import shutil
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files as package_files
from pathlib import Path

import msgspec

from tokenwatcher_server.events.store import StoreRefused, StoreUnavailable
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.stores.embedded.admission import IdKey
from tokenwatcher_server.stores.embedded.chain import GENESIS, Link, SegmentKind, link_hash
from tokenwatcher_server.stores.embedded.files import touch_private

APPLICATION_ID = 0x54574A4C
VERSION = 1
RESERVE_BYTES = 96 * 1024 * 1024
"""Kept free on the disk: what was acknowledged must still fit into the columns, so that questions
go on being answered while a full disk takes nothing new. Both databases write anew, when they fold
their logs in, what lies there: 32 MB each, and as much again while that lasts."""
_HEADER_BYTES = 100
DIGEST_BYTES = 16
_SEGMENT = "sequence, kind, rows, total, committed_at, hash, body"

# position n of a packed run of 16-byte values, for n below the last parameter
_POSITIONS = "with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?3)"
_FIND_IDS = (
    _POSITIONS + " select n.i, ids.digest, ids.sequence from n cross join ids"
    " on ids.workspace = ?1 and ids.id = substr(?2, n.i * 16 + 1, 16)"
)
_ADD_IDS = (
    _POSITIONS + " insert into ids select"
    " ?1, substr(?2, i * 16 + 1, 16), substr(?4, i * 16 + 1, 16), ?5 from n"
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


class NewEvents(msgspec.Struct, frozen=True):
    """Events to commit: their segment, and their ids by workspace as (packed id, digest)."""

    rows: int
    body: bytes
    ids: dict[int, list[tuple[bytes, bytes]]]


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
            f"insert into segments ({_SEGMENT}) values (?, ?, ?, ?, ?, ?, ?)",
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


class JournalReader:
    """Reads the chain beside the writer, on a connection of its own; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, create=False)
        self._connection.execute("pragma query_only = on")

    def head(self) -> Head:
        return read_head(self._connection)

    def links(self, after: int) -> Iterator[Link]:
        """The segments behind a sequence number, in order."""
        rows = self._connection.execute(
            f"select {_SEGMENT} from segments where sequence > ? order by sequence",
            (after,),
        )
        for sequence, kind, *rest in rows:
            yield Link(sequence, SegmentKind(kind), *rest)

    def hash_at(self, sequence: int) -> bytes | None:
        if sequence == 0:
            return GENESIS
        rows = self._connection.execute(
            "select hash from segments where sequence = ?", (sequence,)
        ).fetchall()
        return rows[0][0] if rows else None

    def workspace_numbers(self) -> dict[str, int]:
        return dict(self._connection.execute("select id, number from workspaces").fetchall())

    def find(self, keys: Sequence[IdKey]) -> dict[IdKey, Held]:
        return find_ids(self._connection, keys)

    def close(self) -> None:
        self._connection.close()


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the journal file. Raises StoreRefused where it isn't one that this version knows."""
    try:
        if create and not (path.exists() and path.stat().st_size):
            touch_private(path)
            _create(path)
        _check_version(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma cache_size = -16000")
        connection.execute("pragma busy_timeout = 10000")
    except (sqlite3.Error, OSError) as error:
        raise StoreRefused(
            f"{path} can't be opened ({error}): put a backup in its place; nothing was changed"
        ) from None
    return connection


def _create(path: Path) -> None:
    script = package_files(__package__).joinpath("journal.sql").read_text(encoding="utf-8")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        f"begin; {script} pragma application_id = {APPLICATION_ID};"
        f" pragma user_version = {VERSION}; commit;"
    )
    connection.close()


def _check_version(path: Path) -> None:
    """Read the file's header without opening the database, which could change it."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        raise StoreRefused(f"{path} is damaged: put a backup in its place; nothing was changed")
    version, application = struct.unpack_from(">I4xI", header, 60)
    if application != APPLICATION_ID:
        raise StoreRefused(f"{path} is not a journal of TokenWatcher's; nothing was changed")
    if version > VERSION:
        raise StoreRefused(
            f"{path} was written by a newer TokenWatcher (journal version {version}, this one "
            f"knows {VERSION}): start that version again; nothing was changed"
        )


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

"""What derived files say of themselves, read without touching them, and held against the journal.

Only what the journal can make again may be made again. Files that know of commits which the
journal doesn't have are the last trace of acknowledged events: they are refused, not replaced.
"""

from contextlib import closing
from pathlib import Path

import duckdb
import msgspec

from tokenwatcher_server.events.store import StoreRefused
from tokenwatcher_server.stores.embedded.files import StoreFiles
from tokenwatcher_server.stores.embedded.journal_reader import Head, JournalReader
from tokenwatcher_server.stores.embedded.last_commit import last_commit
from tokenwatcher_server.stores.embedded.prepare import Applied

VERSION = 2
"""The layout of the columns file; an older one is made anew."""


class ColumnsUnusable(Exception):
    """The file is damaged, or of an older version: it has to be made anew."""


class Stamp(msgspec.Struct, frozen=True):
    """The layout of a columns file, and how far along the journal it is."""

    version: int
    applied: Applied


def stamp_of(connection: duckdb.DuckDBPyConnection) -> Stamp:
    """Read the stamp of an open columns file. Raises ColumnsUnusable where there is none."""
    try:
        [(version,)] = connection.execute("select version from about").fetchall()
        [applied] = connection.execute("select sequence, total, hash from applied").fetchall()
    except (duckdb.Error, ValueError) as error:
        raise ColumnsUnusable(f"it is not laid out as it should be: {error}") from None
    return Stamp(version, Applied(*applied))


def refuse_what_the_journal_lacks(files: StoreFiles) -> None:
    """Raise StoreRefused where derived files are newer than this program, or than the journal."""
    stamp = _stamp_on_disk(files.columns)
    if stamp is not None and stamp.version > VERSION:
        raise StoreRefused(
            f"{files.columns} was written by a newer TokenWatcher (columns version "
            f"{stamp.version}, this one knows {VERSION}): start that version again; nothing was "
            "changed"
        )
    known = max(
        stamp.applied.sequence if stamp else 0,
        _last_run(files.responses),
        last_commit(files.responses),
    )
    if known == 0:
        return
    if not files.journal.exists():
        raise _lost(files, f"{files.journal} is missing", f"commits up to {known} were made")
    with closing(JournalReader(files.journal)) as journal:
        head = journal.head()
        if known > head.sequence:
            raise _lost(files, _end(files, head), f"commits up to {known} were acknowledged")
        if stamp and journal.hash_at(stamp.applied.sequence) != stamp.applied.hash:
            raise StoreRefused(
                f"{files.columns} was made from another journal than {files.journal}: put the "
                "one that belongs to the other in its place, or, where the journal is the right "
                "one, move the columns file out of the folder; nothing was changed"
            )


def _stamp_on_disk(path: Path) -> Stamp | None:
    """A damaged file has none, and is made anew when it is opened."""
    try:
        with duckdb.connect(str(path), read_only=True, config={"threads": "1"}) as connection:
            return stamp_of(connection)
    except (duckdb.Error, ColumnsUnusable):
        return None


def _last_run(responses: Path) -> int:
    """The last commit that the response index covers, by the names of its files."""
    ends = (path.stem.partition("-")[2] for path in responses.glob("*.run"))
    return max((int(end) for end in ends if end.isdecimal()), default=0)


def _end(files: StoreFiles, head: Head) -> str:
    return f"{files.journal} ends at commit {head.sequence} ({head.total} events)"


def _lost(files: StoreFiles, found: str, known: str) -> StoreRefused:
    return StoreRefused(
        f"{found}, but {known}: acknowledged events are missing from the journal. Put the newest "
        f"{files.journal.name} back, together with its {files.journal.name}-wal, from where they "
        "went or from a backup. To go on without those events, move "
        f"{files.columns.name} and {files.responses.name} out of the folder first and keep them: "
        "they are all that is left of them. Nothing was changed"
    )

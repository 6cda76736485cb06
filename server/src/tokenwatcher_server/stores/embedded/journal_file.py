"""The journal's SQLite file: made, opened, brought to this version, and made smaller."""

import shutil
import sqlite3
import struct
from contextlib import closing
from importlib.resources import files as package_files
from pathlib import Path

from tokenwatcher_server.events.store import StoreRefused, StoreUnavailable
from tokenwatcher_server.stores.embedded.files import touch_private

APPLICATION_ID = 0x54574A4C
VERSION = 2
LEAST_ROOM_BYTES = 1_000_000
"""Without so much a sound file can't be opened: what SQLite keeps beside it has no room."""
_HEADER_BYTES = 100
_LAYOUT = ("journal.sql", "journal_2.sql")
"""What each version added to the one before it."""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the journal file, where `create` is set for its writer.

    Raises StoreRefused where it isn't one that this version knows.
    """
    try:
        if create and not (path.exists() and path.stat().st_size):
            touch_private(path)
            with closing(sqlite3.connect(path, isolation_level=None)) as empty:
                _bring_up_to_date(empty)
        _refuse_what_is_not_known(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma cache_size = -16000")
        connection.execute("pragma busy_timeout = 10000")
        # what is deleted is overwritten: it may be somebody's
        connection.execute("pragma secure_delete = on")
        if create:
            _bring_up_to_date(connection)
    except (sqlite3.Error, OSError) as error:
        remedy = (
            f"make room on its disk, which has {free} bytes left"
            if (free := shutil.disk_usage(path.parent).free) < LEAST_ROOM_BYTES
            else "put a backup in its place"
        )
        raise StoreRefused(
            f"{path} can't be opened ({error}): {remedy}; nothing was changed"
        ) from None
    return connection


def knows_erasures(connection: sqlite3.Connection) -> bool:
    """Whether the file is of a version that can hold erasures; a reader changes none."""
    return _version(connection) >= VERSION


def fold_in(connection: sqlite3.Connection) -> None:
    """Bring the write-ahead log into the file and empty it: it still holds what was deleted.

    Raises StoreUnavailable while somebody reads what was before.
    """
    [(busy, _, _)] = connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    if busy:
        raise StoreUnavailable("the journal is being read: its log can't be emptied now")


def half_is_free(connection: sqlite3.Connection) -> bool:
    [(pages,)] = connection.execute("pragma page_count").fetchall()
    [(free,)] = connection.execute("pragma freelist_count").fetchall()
    return bool(free * 2 >= pages)


def write_anew(connection: sqlite3.Connection, path: Path) -> None:
    """Write the file without its gaps, where what was deleted may still lie in copies.

    The copy lies beside it, as the system's folder for temporary files may be too small, and for
    others to read. Raises StoreUnavailable where the disk has no room for that.
    """
    size, free = path.stat().st_size, shutil.disk_usage(path.parent).free
    if free < 2 * size:
        raise StoreUnavailable(
            f"writing the journal anew takes {2 * size} bytes of the disk, and {free} are free"
        )
    remove_copy(path)
    touch_private(_copy_of(path))
    connection.execute("vacuum into ?", (str(_copy_of(path)),))
    with closing(sqlite3.connect(_copy_of(path))) as copy:
        copy.backup(connection)
    remove_copy(path)


def remove_copy(path: Path) -> None:
    """Remove what is left of writing the file anew."""
    _copy_of(path).unlink(missing_ok=True)


def _copy_of(path: Path) -> Path:
    return path.with_suffix(".new")


def _version(connection: sqlite3.Connection) -> int:
    [(version,)] = connection.execute("pragma user_version").fetchall()
    return int(version)


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Add what a file of an older version, or an empty one, lacks, in one transaction."""
    lacking = _LAYOUT[_version(connection) :]
    if lacking:
        package = package_files(__package__)
        scripts = [package.joinpath(name).read_text(encoding="utf-8") for name in lacking]
        connection.executescript(
            f"begin; {' '.join(scripts)} pragma application_id = {APPLICATION_ID};"
            f" pragma user_version = {VERSION}; commit;"
        )


def _refuse_what_is_not_known(path: Path) -> None:
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

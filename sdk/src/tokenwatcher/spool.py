"""Events kept on disk: what could not be sent, for this process or the next one to send.

A file holds the events of one batch, one JSON object a line. It is written under another name,
synced and renamed, so a file is whole or not there. The folder is the owner's alone, and has a
part for each endpoint and key, so that nothing is ever sent to another place than it was meant
for. Several processes may share it: a file is locked while it is sent, and removed afterwards.
Should two send the same file all the same, its events keep their ids and count once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

_SUFFIX = ".events"
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 3600.0


class Kept(NamedTuple):
    """A file of events (as JSON) that this process holds while it sends them."""

    path: Path
    events: list[bytes]
    damaged: int
    """Lines that are no events any more."""


class Spool:
    """A bounded folder of batches. What is already there has precedence over what is new."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._numbers = itertools.count()
        self._settled: set[Path] = set()
        """Files that could not be removed, and are not to be sent again."""

    def keep(self, events: list[bytes]) -> bool:
        """Put events (as JSON) on disk; False where there is no room. Raises OSError."""
        content = b"\n".join(events) + b"\n"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._size() + len(content) > self._most_bytes:
            return False
        name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._numbers)}"
        unfinished = self._folder / f"{name}{_UNFINISHED}"
        try:
            _write(unfinished, content)
            unfinished.rename(self._folder / f"{name}{_SUFFIX}")
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
        _sync_folder(self._folder)
        return True

    @contextmanager
    def claim(self) -> Iterator[Kept | None]:
        """Hold the oldest file that no other process holds; None where there is none."""
        for path in self._files():
            with _locked(path) as free:
                lines = _lines(path) if free else None
                if lines is not None:
                    events = [line for line in lines if _is_event(line)]
                    yield Kept(path, events, len(lines) - len(events))
                    return
        yield None

    def settle(self, kept: Kept) -> None:
        """Remove a file: its events are sent, or given up. Raises OSError."""
        try:
            kept.path.unlink()
        except FileNotFoundError:
            pass
        except OSError:
            self._settled.add(kept.path)
            raise

    def is_empty(self) -> bool:
        """Whether nothing is kept, by whomever."""
        return not self._files()

    def _files(self) -> list[Path]:
        with suppress(OSError):
            return sorted(set(self._folder.glob(f"*{_SUFFIX}")) - self._settled)
        return []

    def _size(self) -> int:
        """Bytes in the folder; what a process left half-written long ago is removed."""
        total = 0
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                if (
                    path.suffix == _UNFINISHED
                    and status.st_mtime < time.time() - _ABANDONED_SECONDS
                ):
                    path.unlink()
                else:
                    total += status.st_size
        return total


def spool_for(directory: str, endpoint: str, api_key: str, most_bytes: int) -> Spool:
    """The spool of one destination within a directory that apps may share."""
    destination = hashlib.sha256(f"{endpoint}\n{api_key}".encode()).hexdigest()[:24]
    return Spool(Path(directory).expanduser() / destination, most_bytes)


def _lines(path: Path) -> list[bytes] | None:
    """The lines of a file; None where it can't be read."""
    try:
        return [line for line in path.read_bytes().split(b"\n") if line]
    except OSError:
        return None


def _is_event(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder can't be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file for the block; False where another process has it, or it is gone."""
    try:
        import fcntl
    except ImportError:  # no such locks here; ids make sending twice harmless
        yield path.exists()
        return
    try:
        file = path.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a network's folder may know no locks
            yield path.exists()
            return
        try:
            yield path.exists()  # another may have sent and removed it before we had the lock
        finally:
            # by itself it stays shut for as long as a child lives that was forked meanwhile
            fcntl.flock(file, fcntl.LOCK_UN)

"""Which providers' answers the journal already holds: a set of fingerprints on disk.

Fingerprints are random, so a B-tree would touch a page for each. Here the newest are a set in
memory, and the older ones are sorted runs in files, searched for a whole commit at once. Runs
of like size are merged, so there are few. Everything is derived: a run says which segments it
covers, and what no run covers is read from the journal again at the start.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tokenwatcher_server.stores.embedded.fingerprint_run import (
    Coverage,
    Fingerprints,
    Run,
    merge_runs,
    write_run,
)
from tokenwatcher_server.stores.embedded.last_commit import NAME as LAST_COMMIT
from tokenwatcher_server.stores.embedded.last_commit import LastCommit

RUN_ROWS = 64_000
"""Events after which the newest fingerprints become a run."""
RUN_SEGMENTS = 8_000
"""Segments after which they do so too, that a start may have little to read again."""

_log = logging.getLogger(__name__)


class Extent(msgspec.Struct, frozen=True):
    """How much the index knows at one moment."""

    covered: int
    """The last segment whose fingerprints are known."""
    fingerprints: int


class _Newest(msgspec.Struct):
    """Fingerprints that are not in a run yet."""

    first: int
    last: int
    hash: bytes
    rows: int
    held: set[bytes]


class ResponseIndex:
    """Added to by the thread that commits, asked by any; a thread of its own writes the runs."""

    def __init__(self, folder: Path, hash_at: Callable[[int], bytes | None]) -> None:
        self._folder, self._hash_at = folder, hash_at
        self._changed = threading.Condition()
        self._open()

    def _open(self) -> None:
        folder, hash_at = self._folder, self._hash_at
        self._runs = _open_runs(folder, hash_at)
        last = self._runs[-1].coverage if self._runs else Coverage(0, 0, bytes(32))
        self._newest = _Newest(last.last + 1, last.last, last.hash, 0, set())
        self._last_commit = LastCommit(folder)
        self._last_commit.note(last.last)
        self._full: list[_Newest] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="response-index", daemon=True)
        self._thread.start()

    @property
    def covered(self) -> int:
        """The last segment whose fingerprints are known."""
        return self._newest.last

    def extent(self) -> Extent:
        """For the thread that adds, like `add`."""
        with self._changed:
            parts = [self._newest, *self._full]
            count = sum(map(len, self._runs)) + sum(len(part.held) for part in parts)
        return Extent(self.covered, count)

    def find(self, fingerprints: Sequence[bytes]) -> set[bytes]:
        """Which of these the journal holds."""
        if not fingerprints:
            return set()
        with self._changed:
            runs, newest = self._runs, [self._newest, *self._full]
        wanted = set(fingerprints)
        found = set().union(*(wanted & part.held for part in newest))
        if runs:
            ordered = sorted(wanted)
            arrays = Fingerprints.of(ordered)
            for run in runs:
                found.update(ordered[position] for position in run.positions_of(arrays))
                run.let_go()
        return found

    def add(
        self, fingerprints: Sequence[bytes], sequence: int, chain_hash: bytes, rows: int
    ) -> None:
        """Note the fingerprints of a committed segment."""
        newest = self._newest
        newest.held.update(fingerprints)
        newest.last, newest.hash = sequence, chain_hash
        newest.rows += rows
        self._last_commit.note(sequence)
        if newest.rows >= RUN_ROWS or sequence - newest.first >= RUN_SEGMENTS:
            self._turn_over()

    def take_over(self, folder: Path) -> None:
        """Go on with the runs of another index, which is closed, in the place of these."""
        self.close()
        shutil.rmtree(self._folder)
        folder.rename(self._folder)
        self._open()

    def close(self) -> None:
        """Write what is in memory, so that the next start has nothing to read again."""
        if self._newest.last >= self._newest.first:
            self._turn_over()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        self._last_commit.close()

    def _turn_over(self) -> None:
        with self._changed:
            full = self._newest
            self._full.append(full)
            self._newest = _Newest(full.last + 1, full.last, full.hash, 0, set())
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._full or self._stopping)
                full, stopping = self._full[:], self._stopping
            try:
                if full:
                    self._write(full)
            except OSError as error:
                _log.warning("fingerprints stay in memory for now: %s", error)
                if not stopping:
                    threading.Event().wait(1.0)
            if stopping:
                return

    def _write(self, full: Sequence[_Newest]) -> None:
        held = set().union(*(part.held for part in full))
        coverage = Coverage(full[0].first, full[-1].last, full[-1].hash)
        run = write_run(self._folder, coverage, Fingerprints.of(list(held)))
        with self._changed:
            self._runs = (*self._runs, run)
            del self._full[: len(full)]
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._merge_last()

    def _merge_last(self) -> None:
        *kept, older, newer = self._runs
        merged = merge_runs(self._folder, older, newer)
        with self._changed:
            self._runs = (*kept, merged)
        older.path.unlink()
        newer.path.unlink()


def _open_runs(folder: Path, hash_at: Callable[[int], bytes | None]) -> tuple[Run, ...]:
    """Open the runs that cover the journal's segments from the first on, without a gap.

    Whatever else lies there is removed: leftovers of a merge, and runs of another journal.
    """
    found = [run for path in sorted(folder.glob("*.run")) if (run := _open_run(path, hash_at))]
    runs: list[Run] = []
    next_first = 1
    while following := [run for run in found if run.coverage.first == next_first]:
        runs.append(max(following, key=lambda run: run.coverage.last))
        next_first = runs[-1].coverage.last + 1
    kept = {run.path for run in runs}
    for path in folder.iterdir():
        if path not in kept and path.name != LAST_COMMIT:
            path.unlink()
    return tuple(runs)


def _open_run(path: Path, hash_at: Callable[[int], bytes | None]) -> Run | None:
    try:
        run = Run(path)
    except (ValueError, OSError) as error:
        _log.warning("%s is damaged (%s) and will be made anew", path.name, error)
        return None
    return run if hash_at(run.coverage.last) == run.coverage.hash else None

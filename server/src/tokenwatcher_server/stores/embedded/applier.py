"""The applier: a thread that brings the columns up to the journal.

1. Wait until something is committed.
2. Wait a little longer for more, so that a step is large, unless a query is waiting.
3. Apply what there is in one transaction of the columns file, with how far it goes.
4. Wake the queries that waited for it.
5. Write the columns file where much is in memory only.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import AbstractContextManager

import duckdb

from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.prepare import prepare, read

STEP_ROWS = 30_000
"""A step is applied at once when it is this large: a large one costs less for each event."""
STEP_SECONDS = 0.4
"""The longest a committed event waits for company."""
RETRY_SECONDS = 1.0
MOST_STEP_ROWS = 60_000
MOST_FRESH_ROWS = 120_000
"""Rows kept in memory for the applier; what is beyond them it reads from the journal."""

_log = logging.getLogger(__name__)


class Applier:
    """Owns the thread that writes to the columns."""

    def __init__(self, columns: Columns, reader: JournalReader) -> None:
        self._columns = columns
        self._reader = reader
        self._changed = threading.Condition()
        self._fresh: deque[Link] = deque()
        self._target = reader.head().sequence
        self._fresh_rows = 0
        self._waiting = 0
        self._stopping = False
        self._trouble: str | None = None
        self._stepping = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="applier", daemon=True)
        self._thread.start()

    @property
    def applied(self) -> int:
        return self._columns.applied.sequence

    def announce(self, link: Link) -> None:
        """A segment has been committed."""
        with self._changed:
            self._fresh.append(link)
            self._fresh_rows += link.rows
            while self._fresh_rows > MOST_FRESH_ROWS:
                self._fresh_rows -= self._fresh.popleft().rows
            self._target = link.sequence
            self._changed.notify_all()

    def wait_for(self, sequence: int, seconds: float) -> None:
        """Return once the columns hold `sequence`.

        Raises StoreUnavailable after `seconds`, and at once while the columns can't be written:
        sums without what was acknowledged would be wrong in silence.
        """
        if self.applied >= sequence:
            return
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                self._changed.wait_for(
                    lambda: self.applied >= sequence or self._trouble is not None, seconds
                )
            finally:
                self._waiting -= 1
        if self.applied < sequence:
            behind = sequence - self.applied
            reason = f": {self._trouble}" if self._trouble else ""
            raise StoreUnavailable(f"the columns are {behind} commits behind the journal{reason}")

    def paused(self) -> AbstractContextManager[bool]:
        """Apply nothing for as long as the block lasts."""
        return self._stepping

    def close(self) -> None:
        """Apply what is committed, then stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._await_work():
            try:
                with self._stepping:
                    self._apply_next()
                    self._wake_waiting()
                    self._fold_in()
            except Exception as error:  # noqa: BLE001 - the journal is safe; the thread must live on
                _log.exception("applying events to the columns failed; trying again")
                with self._changed:
                    self._trouble = str(error)
                    self._changed.notify_all()
                if self._pause():
                    return

    def _apply_next(self) -> None:
        if links := self._next_links():  # else they were applied in a pause
            self._columns.apply(prepare(read(links), self._columns.tag_slots))

    def _fold_in(self) -> None:
        try:
            self._columns.fold_in()
        except duckdb.Error:
            applied = self.applied
            with self._columns.reopened():
                while self.applied < applied:
                    self._apply_next()
            raise

    def _wake_waiting(self) -> None:
        with self._changed:
            self._trouble = None
            self._changed.notify_all()

    def _await_work(self) -> bool:
        """Wait for a step's worth; False when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._target > self.applied)
            if self._target <= self.applied:
                return False
            deadline = time.monotonic() + STEP_SECONDS
            self._changed.wait_for(self._in_a_hurry, deadline - time.monotonic())
            return True

    def _in_a_hurry(self) -> bool:
        return self._stopping or self._waiting > 0 or self._fresh_rows >= STEP_ROWS

    def _next_links(self) -> list[Link]:
        applied = self.applied
        with self._changed:
            while self._fresh and self._fresh[0].sequence <= applied:
                self._fresh_rows -= self._fresh.popleft().rows
            if self._fresh and self._fresh[0].sequence == applied + 1:
                return _step(self._fresh)
        return _step(self._reader.sound_links(applied))

    def _pause(self) -> bool:
        """Wait before another attempt; True when it is time to stop instead."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping, RETRY_SECONDS)


def _step(links: Iterable[Link]) -> list[Link]:
    step: list[Link] = []
    rows = 0
    for link in links:
        step.append(link)
        rows += link.rows
        if rows >= MOST_STEP_ROWS:
            break
    return step

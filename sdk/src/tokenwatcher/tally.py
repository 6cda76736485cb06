"""What became of the events: counted always, and told in the log at most once a minute."""

from __future__ import annotations

import logging
import threading
import time
from traceback import format_exception
from typing import NamedTuple

from tokenwatcher.masking import mask

log: logging.Logger = logging.getLogger("tokenwatcher")
_SECONDS_BETWEEN_WARNINGS = 60.0


class Stats(NamedTuple):
    """What became of the events since the client was made (or since the process was forked)."""

    queued: int
    """Recorded and not yet settled."""
    sent: int
    """Acknowledged by the server."""
    dropped: int
    """Lost because the queue was full or the client was shut down."""
    failed: int
    """Refused by the server, or given up after the last retry."""
    retried: int
    """Requests that were sent again."""
    internal_errors: int
    """Errors of the SDK itself, which never reach the app."""
    spooled: int
    """Put on disk by this process, for want of an answer; counted as sent once they are."""
    last_error: str | None


class Tally:
    """Counts, for any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # see `Outbox`
        names = ("sent", "dropped", "failed", "retried", "internal_errors", "spooled")
        self._counts = dict.fromkeys(names, 0)
        self._last_error: str | None = None
        self._told_at: dict[str, float] = {}

    def add(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._counts[what] += number

    def lost(self, what: str, number: int, why: str) -> None:
        """Count lost events, and say so in the log unless the same was said just now."""
        with self._lock:
            self._counts[what] += number
            self._last_error = mask(why)
            total = self._counts[what]
        if self._may_tell(what, why):
            log.warning("%d event(s) %s (%d so far): %s", number, what, total, mask(why))

    def trouble(self, why: str) -> None:
        """Note what went wrong with a request that will be sent again."""
        with self._lock:
            self._counts["retried"] += 1
            self._last_error = mask(why)
        log.debug("sending again: %s", mask(why))

    def internal(self, error: BaseException) -> None:
        """Note an error of our own; the app goes on as if nothing had happened."""
        with self._lock:
            self._counts["internal_errors"] += 1
            self._last_error = f"internal error: {type(error).__name__}"
        if self._may_tell("internal", type(error).__name__):
            # not as `exc_info`, whose text nobody masks
            told = mask("".join(format_exception(error)))
            log.error("an internal error was swallowed; the app is not affected\n%s", told)

    def stats(self, queued: int) -> Stats:
        with self._lock:
            return Stats(queued=queued, last_error=self._last_error, **self._counts)

    def _may_tell(self, what: str, why: str) -> bool:
        key = f"{what}: {why[:40]}"
        now = time.monotonic()
        with self._lock:
            if now - self._told_at.get(key, -_SECONDS_BETWEEN_WARNINGS) < _SECONDS_BETWEEN_WARNINGS:
                return False
            if len(self._told_at) >= 100:
                self._told_at.clear()
            self._told_at[key] = now
            return True

"""The queue between the app's threads and the sender: bounded, and never waited for by the app.

A full queue keeps what it has and refuses what is new. No lock here is held for longer than a
few instructions.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from tokenwatcher.event import Recorded


class Outbox:
    """Holds at most `capacity` events; gives them out in batches.

    A batch is given as soon as it is full, or `linger` seconds after its first event came.
    """

    def __init__(self, capacity: int, batch_size: int, linger: float) -> None:
        self._capacity = capacity
        self._batch_size = batch_size
        self._linger = linger
        # a signal or a garbage collection may have this very thread record again meanwhile
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._progress = threading.Condition(self._lock)
        self._queue: deque[Recorded] = deque()
        self._accepted = 0
        self._settled = 0
        self._flushing = 0
        self._closed = False
        self._deadline = 0.0

    def put(self, event: Recorded) -> bool:
        """Take an event, unless the queue is full or closed; never waits."""
        with self._lock:
            waiting = len(self._queue)
            if waiting >= self._capacity or self._closed:
                return False
            self._queue.append(event)
            self._accepted += 1
            if waiting == 0 or waiting + 1 == self._batch_size:
                self._work.notify()
        return True

    def take(self, patience: float | None = None) -> list[Recorded] | None:
        """Wait for the next batch; None when the outbox is closed and empty. For one thread.

        Where nothing came within `patience` seconds, the batch is empty.
        """
        with self._lock:
            while not self._queue:
                if self._closed:
                    return None
                if not self._work.wait(patience) and not self._queue and not self._closed:
                    return []
            self._let_it_fill()
            return [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_size))]

    def take_all(self) -> list[Recorded]:
        """Everything that waits, at once."""
        with self._lock:
            events = list(self._queue)
            self._queue.clear()
            return events

    def settle(self, number: int) -> None:
        """Say that so many of the events taken have been sent or given up."""
        with self._lock:
            self._settled += number
            self._progress.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is settled; False if that took too long."""
        deadline = time.monotonic() + timeout
        with self._lock:
            target = self._accepted
            self._flushing += 1
            self._work.notify()
            try:
                while self._settled < target:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        return False
                    self._progress.wait(remaining)
                return True
            finally:
                self._flushing -= 1

    def close(self, timeout: float) -> None:
        """Take no more; what is held may still be sent within `timeout` seconds."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._deadline = time.monotonic() + timeout
            self._work.notify_all()

    def pause(self, seconds: float) -> bool:
        """Wait before sending again; False when there is no time for it after closing.

        Closing cuts a wait short: what is held is tried once more at once.
        """
        end = time.monotonic() + seconds
        with self._lock:
            if self._closed and end >= self._deadline:
                return False
            if not self._closed:
                self._work.wait_for(lambda: self._closed, seconds)
                return not self._closed or time.monotonic() < self._deadline
        time.sleep(seconds)
        return True

    @property
    def closed(self) -> bool:
        """Whether no more is taken, and what is held is to be sent soon."""
        return self._closed

    @property
    def unsettled(self) -> int:
        """How many events are waiting or being sent."""
        with self._lock:
            return self._accepted - self._settled

    def _let_it_fill(self) -> None:
        end = time.monotonic() + self._linger
        while len(self._queue) < self._batch_size and not self._flushing and not self._closed:
            remaining = end - time.monotonic()
            if remaining <= 0 or not self._work.wait(remaining):
                return

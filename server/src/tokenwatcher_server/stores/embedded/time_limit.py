"""Ends what takes too long: one thread watches everything that is under the limit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Stop = Callable[[], None]


class TimeLimit:
    """Calls `stop` of whatever is still running after `seconds`. For any number of threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._running: dict[object, tuple[float, Stop]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="time limit", daemon=True)
        self._thread.start()

    @contextmanager
    def limited(self, stop: Stop) -> Iterator[None]:
        """Run something that `stop` makes end early."""
        name = object()
        with self._changed:
            first = not self._running
            self._running[name] = (time.monotonic() + self._seconds, stop)
            if first:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._running.pop(name, None)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._closing:
                self._changed.wait(self._stop_the_late())

    def _stop_the_late(self) -> float | None:
        """Gives the seconds until the next can be late; None while nothing runs."""
        now = time.monotonic()
        for name, (deadline, stop) in list(self._running.items()):
            if deadline > now:  # they began in this order and all have as long
                return deadline - now
            del self._running[name]
            stop()
        return None

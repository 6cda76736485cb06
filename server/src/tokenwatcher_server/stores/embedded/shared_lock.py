"""A lock that many hold together, or one alone, who is let in as soon as the many have left."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """For any number of threads; nobody may take it twice."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold it with others, once nobody holds it alone or waits to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it with nobody else."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: self._together == 0)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()

    @contextmanager
    def alone_if_free(self) -> Iterator[bool]:
        """Hold it with nobody else, if that takes no waiting; says whether it is held."""
        with self._changed:
            free = not self._alone and self._together == 0
            self._alone = self._alone or free
        try:
            yield free
        finally:
            if free:
                with self._changed:
                    self._alone = False
                    self._changed.notify_all()

"""Keeps a background thread at work on the outbox, through forks and until the process ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from functools import partial
from os import getpid
from typing import TYPE_CHECKING, Any, Protocol

from tokenwatcher.event import Recorded
from tokenwatcher.ids import Ids
from tokenwatcher.outbox import Outbox
from tokenwatcher.sender import Sender
from tokenwatcher.settings import Settings
from tokenwatcher.tally import Stats, Tally
from tokenwatcher.tracking import WITHIN
from tokenwatcher.transport import Transport

if TYPE_CHECKING:
    from tokenwatcher.spool import Spool

_SECONDS_AT_EXIT = 2.0
_AT_SHUTDOWN = "interpreter shutdown"
"""What Python says where a thread comes too late."""


class OpenStream(Protocol):
    """A stream that the app has not read to its end."""

    def end(self, outcome: str) -> None:
        """Record what has come of it."""


class Recorder:
    """Takes events from any thread of this process, and of those that are forked from it."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        self._spool = _spool(settings)
        self._renewing = threading.RLock()
        self.wrapped: weakref.WeakKeyDictionary[Any, str | None] = weakref.WeakKeyDictionary()
        """Clients of providers' libraries that are recorded here, and who is said to answer them."""
        self._start_afresh()
        mine = weakref.ref(self)
        # here and not with the first event: exit handlers run in the opposite order, and those of
        # the app may record something
        self._exit = partial(_end, mine)
        if not settings.disabled:
            atexit.register(self._exit)
        if self._sender.has_left_overs():
            self._start_thread()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _renew(mine))

    def record(self, event: Recorded) -> bool:
        """Queue an event; a few microseconds, and never an exception. False if it is lost."""
        try:
            if self._process != getpid():
                self._know_process()
            if not self._outbox.put(event):
                self.tally.lost("dropped", 1, "the queue is full or the client is shut down")
                return False
            if self._thread is None:
                self._start_thread()
            tracking = WITHIN.get()
            if tracking is not None:
                tracking.recorded = True
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self.tally.internal(error)
            return False
        return True

    def opened(self, stream: OpenStream) -> None:
        """Know of a stream, so that it is recorded at the latest when the process ends."""
        if self._process != getpid():
            self._know_process()
        self.open_streams.add(stream)
        if self._thread is None:
            self._start_thread()

    def flush(self, timeout: float) -> bool:
        self._know_process()
        return self._outbox.flush(timeout)

    def shutdown(self, timeout: float) -> bool:
        """Send what is queued within `timeout` seconds and take no more; True if none was lost."""
        self._know_process()
        self._end_streams()
        failed_before = self.tally.stats(0).failed
        self._outbox.close(timeout)
        thread = self._thread
        if thread is None:
            # no thread may be started while the interpreter is ending
            self._sender.run()
        elif thread.ident is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():
                self._sender.keep_rest()
        atexit.unregister(self._exit)
        left = self._outbox.unsettled
        if left > 0:
            self.tally.lost("failed", left, "there was no time left to send them")
        return self.tally.stats(0).failed == failed_before

    def _end_streams(self) -> None:
        """A stream that the app left without closing it is found here, where nobody frees it."""
        for stream in self._streams_left():
            stream.end("client_abort")

    def _streams_left(self) -> list[OpenStream]:
        for _attempt in range(10):
            try:
                return list(self.open_streams)
            except RuntimeError:  # another thread has just opened or closed one
                continue
        return []

    def stats(self) -> Stats:
        self._know_process()
        return self.tally.stats(self._outbox.unsettled)

    @property
    def ids(self) -> Ids:
        """The ids of this process: those of a forked one must differ from its parent's."""
        if self._process != getpid():
            self._know_process()
        return self._ids

    def _know_process(self) -> None:
        """Begin afresh in a process that was forked without telling Python, as uWSGI does."""
        with self._renewing:
            if self._process != getpid():
                self._start_afresh()

    def _start_afresh(self) -> None:
        """Begin with an empty queue and no thread: also what a forked child does.

        The parent's events are the parent's to send, and its locks may be held for ever here.
        """
        settings = self._settings
        size = settings.max_batch_size if settings.batch else 1
        linger = settings.flush_interval if settings.batch else 0.0
        self._ids = Ids()
        self.tally: Tally = Tally()
        self.open_streams: weakref.WeakSet[OpenStream] = weakref.WeakSet()
        self._outbox = Outbox(settings.max_queue_size, size, linger)
        self._sender = Sender(settings, self._outbox, self._transport, self.tally, self._spool)
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._process = getpid()

    def _start_thread(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._work, name="tokenwatcher", daemon=True)
            self._thread = thread  # before it runs, lest a signal meanwhile start another
            try:
                thread.start()
            except BaseException as error:
                self._thread = None
                if isinstance(error, RuntimeError) and _AT_SHUTDOWN in str(error):
                    return  # from 3.12 on none starts any more; our exit handler sends what is queued
                raise
        self._end_with_worker()

    def _work(self) -> None:
        """What the thread does; it also keeps this from being forgotten before the process ends."""
        self._sender.run()

    def _end_with_worker(self) -> None:
        """A worker of `multiprocessing` or Celery ends without atexit; each has its own way."""
        if signals := sys.modules.get("celery.signals"):
            mine = weakref.ref(self)
            signals.worker_process_shutdown.connect(
                lambda **_: _end(mine), weak=False, dispatch_uid=f"tokenwatcher-{id(self)}"
            )
        package = sys.modules.get("multiprocessing")
        util = sys.modules.get("multiprocessing.util")
        if package is None or util is None or package.parent_process() is None:
            return
        util.Finalize(None, self._at_exit, exitpriority=100)

    def _at_exit(self) -> None:
        try:
            self.shutdown(_SECONDS_AT_EXIT)
        except Exception as error:  # noqa: BLE001  # the process is ending, and must end
            self.tally.internal(error)


def _spool(settings: Settings) -> Spool | None:
    if settings.spool_dir is None or settings.disabled:
        return None
    from tokenwatcher.spool import spool_for

    key = settings.api_key or ""
    return spool_for(settings.spool_dir, settings.endpoint, key, settings.spool_max_bytes)


def _end(recorder: weakref.ref[Recorder]) -> None:
    """Send what a worker still has, if the client is still there."""
    alive = recorder()
    if alive is not None:
        alive._at_exit()  # noqa: SLF001  # the hook of the same module


def _renew(recorder: weakref.ref[Recorder]) -> None:
    """Begin afresh in a forked child, if the client is still there."""
    alive = recorder()
    if alive is not None:
        alive._renewing = threading.RLock()  # noqa: SLF001  # the hook of the same module
        alive._start_afresh()  # noqa: SLF001

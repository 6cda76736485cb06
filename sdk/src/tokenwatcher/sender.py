"""The background thread's work: send a batch, and see it settled one way or the other.

1. Each event is written as JSON; one that can't be is lost alone.
2. The batch is sent. No answer, 408, 425, 429 and 5xx: again, later each time, at most
   `max_retries` times. Every event keeps its id, so one that arrived twice counts once.
3. 413: the batch is halved. 400 or 409 with `issues`: the named events are lost, the rest is
   sent again. Any other refusal: the batch is lost.
4. With a spool there is no waiting: a batch without an answer goes to disk, and so do those that
   follow, until the time comes to try again with what lies there longest.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

from tokenwatcher.event import Event, Recorded, encode
from tokenwatcher.outbox import Outbox
from tokenwatcher.settings import Settings
from tokenwatcher.tally import Tally, log
from tokenwatcher.transport import Transport
from tokenwatcher.verdict import Verdict, judge

if TYPE_CHECKING:
    from tokenwatcher.pseudonym import Pseudonyms
    from tokenwatcher.spool import Spool

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LOOK_SECONDS = 60.0
"""How often the spool is looked into for what another process left."""
_AT_A_TIME = 10
_BREATH = 0.00005 if os.name == "posix" else 0.0  # Windows makes milliseconds of it
"""Writing a batch takes milliseconds, in which no other thread of Python runs: after so many events
the app's threads are let in for so many seconds."""

Part = list[bytes]
"""Events as JSON, to be sent in one request."""


def pause_before(attempt: int) -> float:
    """Seconds before the given retry (from 1): doubling, and jittered so that apps spread out."""
    longest = min(_FIRST_PAUSE * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
    return random.uniform(longest / 2, longest)  # noqa: S311  # no secret hangs on it


class Sender:
    """Takes batches from the outbox until it is closed and empty."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        transport: Transport,
        tally: Tally,
        spool: Spool | None = None,
    ) -> None:
        self._batch = settings.batch
        self._batch_size = settings.max_batch_size
        self._max_retries = settings.max_retries
        self._outbox = outbox
        self._transport = transport
        self._tally = tally
        self._spool = spool
        self._pseudonyms = _pseudonyms(settings)
        self._in_hand: Part = []
        self._silences = 0
        """Requests without an answer since the last one with one."""
        self._next_look = 0.0
        """When the spool is to be looked into (monotonic); nothing is sent before in a silence."""

    def run(self) -> None:
        while (events := self._outbox.take(self._patience())) is not None:
            try:
                self._deliver(self._written(events))
                self._send_kept()
            except Exception as error:  # noqa: BLE001  # this thread must outlive any bug of ours
                self._tally.internal(error)
            finally:
                self._in_hand = []
                self._outbox.settle(len(events))
        self._transport.close()

    def has_left_overs(self) -> bool:
        """Whether an earlier process left events to send."""
        return self._spool is not None and not self._spool.is_empty()

    def keep_rest(self) -> None:
        """Put on disk what there was no time to send, this thread's batch included.

        Should the request under way succeed after all, its events count once all the same.
        """
        if self._spool is None:
            return
        waiting = self._outbox.take_all()
        for part in (self._in_hand, *_in_batches(self._written(waiting), self._batch_size)):
            if part and self._keep(part):
                self._tally.add("spooled", len(part))
                self._outbox.settle(len(part))

    def _deliver(self, part: Part) -> None:
        self._in_hand = part
        parts = [part]
        while parts:
            if part := parts.pop():
                parts.extend(self._settled(part, self._ask(part)))

    def _written(self, events: list[Recorded]) -> Part:
        part: Part = []
        for number, recorded in enumerate(events, 1):
            if number % _AT_A_TIME == 0 and not self._outbox.closed:
                time.sleep(_BREATH)
            try:
                told = [recorded] if isinstance(recorded, Event) else recorded.read()
                part.extend([encode(self._disguised(event)) for event in told])
            except Exception as error:  # noqa: BLE001  # a tag's own __str__ may raise anything
                self._tally.lost("failed", 1, f"an event can't be written: {type(error).__name__}")
        return part

    def _disguised(self, event: Event) -> Event:
        if self._pseudonyms is None:
            return event
        return self._pseudonyms.in_place_of_users(event)

    def _settled(self, part: Part, verdict: Verdict) -> list[Part]:
        """Do what the verdict says; give the parts that are still to be sent."""
        if verdict.kind == "taken":
            self._tally.add("sent", len(part))
            log.debug("sent %d event(s)", len(part))
            return []
        if verdict.kind == "halve":
            middle = len(part) // 2
            return [part[middle:], part[:middle]]
        if verdict.kind == "again":
            self._tally.add("spooled", len(part))
            return []
        if not verdict.bad:
            self._tally.lost("failed", len(part), verdict.why)
            return []
        self._tally.lost("failed", len(verdict.bad), verdict.why)
        return [[event for position, event in enumerate(part) if position not in verdict.bad]]

    def _ask(self, part: Part) -> Verdict:
        """Ask until there is a verdict; `again` where the events were put on disk instead."""
        if self._is_silent() and self._keep(part):
            return Verdict("again", "the server did not answer just now")
        attempt = 0
        while True:
            verdict = self._attempt(part)
            if verdict.kind != "again":
                return verdict
            if self._keep(part):
                return verdict
            attempt += 1
            if attempt > self._max_retries:
                return verdict._replace(kind="refused")
            self._tally.trouble(verdict.why)
            if not self._outbox.pause(max(pause_before(attempt), verdict.pause)):
                return verdict._replace(kind="refused")

    def _attempt(self, part: Part) -> Verdict:
        single = not self._batch and len(part) == 1
        path = "/api/ingest" if single else "/api/ingest/batch"
        body = part[0] if single else b'{"events":[' + b",".join(part) + b"]}"
        try:
            verdict = judge(self._transport.post(path, body), len(part))
        except OSError as error:
            verdict = Verdict("again", f"no answer from the server: {error}")
        except Exception as error:  # noqa: BLE001  # a transport of the app's own may raise anything
            self._tally.internal(error)
            verdict = Verdict("again", f"no answer from the server: {type(error).__name__}")
        self._note(verdict)
        return verdict

    def _is_silent(self) -> bool:
        """Whether the server did not answer just now, and it is not yet time to ask again."""
        return self._silences > 0 and time.monotonic() < self._next_look

    def _note(self, verdict: Verdict) -> None:
        if verdict.kind != "again":
            self._silences = 0
            return
        self._silences += 1
        pause = max(pause_before(self._silences), verdict.pause)
        self._next_look = time.monotonic() + pause

    def _keep(self, part: Part) -> bool:
        """Put events on disk; False where that can't be done."""
        if self._spool is None:
            return False
        try:
            return self._spool.keep(part)
        except OSError as error:
            self._tally.trouble(f"the spool can't be written: {error.strerror}")
            return False

    def _send_kept(self) -> None:
        """Send what lies on disk, oldest first, until there is no more or no answer."""
        while self._spool is not None and time.monotonic() >= self._next_look:
            try:
                with self._spool.claim() as kept:
                    if kept is None:
                        self._next_look = time.monotonic() + _LOOK_SECONDS
                    elif not self._sent(kept.events):
                        return
                    else:
                        if kept.damaged:
                            self._tally.lost("failed", kept.damaged, "a spooled file is damaged")
                        self._spool.settle(kept)
            except OSError as error:
                self._next_look = time.monotonic() + _LOOK_SECONDS
                self._tally.trouble(f"the spool can't be emptied: {error.strerror}")

    def _sent(self, events: Part) -> bool:
        """Send what was kept; False where there was no answer."""
        parts = [events]
        while parts:
            if not (part := parts.pop()):
                continue
            verdict = self._attempt(part)
            if verdict.kind == "again":
                self._tally.trouble(verdict.why)
                return False
            parts.extend(self._settled(part, verdict))
        return True

    def _patience(self) -> float | None:
        """How long to wait for events before looking into the spool."""
        if self._spool is None:
            return None
        return max(0.0, self._next_look - time.monotonic())


def _pseudonyms(settings: Settings) -> Pseudonyms | None:
    if not settings.hash_user_ids:
        return None
    from tokenwatcher.pseudonym import Pseudonyms

    return Pseudonyms(settings.user_id_key or settings.api_key or "")


def _in_batches(part: Part, size: int) -> list[Part]:
    return [part[start : start + size] for start in range(0, len(part), size)]

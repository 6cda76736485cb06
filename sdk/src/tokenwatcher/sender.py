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

import json
import os
import random
import re
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from tokenwatcher.event import Event, Recorded, encode
from tokenwatcher.outbox import Outbox
from tokenwatcher.settings import Settings
from tokenwatcher.tally import Tally, log
from tokenwatcher.transport import Answer, Transport

if TYPE_CHECKING:
    from tokenwatcher.pseudonym import Pseudonyms
    from tokenwatcher.spool import Spool

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONGEST_RETRY_AFTER = 300.0
_LOOK_SECONDS = 60.0
"""How often the spool is looked into for what another process left."""
_AT_A_TIME = 10
_BREATH = 0.00005 if os.name == "posix" else 0.0  # Windows makes milliseconds of it
"""Writing a batch takes milliseconds, in which no other thread of Python runs: after so many events
the app's threads are let in for so many seconds."""
_AGAIN = {408, 425, 429}
_EVENT_PATH = re.compile(r"events\[(\d+)\]")

Part = list[bytes]
"""Events as JSON, to be sent in one request."""


class Verdict(NamedTuple):
    """What a server's answer means for the events that were sent."""

    kind: Literal["taken", "again", "halve", "refused"]
    why: str = ""
    pause: float = 0.0
    """Seconds the server asks to wait at least."""
    bad: frozenset[int] = frozenset()
    """Positions of the events the server names; empty where it names none."""


def judge(answer: Answer, size: int) -> Verdict:
    """Say what an answer to `size` events means."""
    status = answer.status
    if 200 <= status < 300:
        if answer.body and _said(answer.body).get("success") is not True:
            # a page of some other server that has the address, or of a gate before it
            return Verdict("again", f"what answered {status} is not TokenWatcher")
        return Verdict("taken")
    if status in _AGAIN or status >= 500:
        return Verdict("again", f"the server answered {status}", _seconds(answer.retry_after))
    problem = _said(answer.body)
    why = f"the server answered {status}: {problem.get('error') or problem.get('detail') or ''}"
    if status == 413 and size > 1:
        return Verdict("halve", why)
    if status in {400, 409}:
        named, first = _named(problem.get("issues"), size)
        return Verdict("refused", f"{why} {first}".strip(), bad=named)
    return Verdict("refused", why)


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
        if self._spool is not None and self._silences and time.monotonic() < self._next_look:
            return Verdict("again", "the server did not answer just now")
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
            with self._spool.claim() as kept:
                if kept is None:
                    self._next_look = time.monotonic() + _LOOK_SECONDS
                    return
                parts = [kept.events]
                while parts:
                    if not (part := parts.pop()):
                        continue
                    verdict = self._attempt(part)
                    if verdict.kind == "again":
                        self._tally.trouble(verdict.why)
                        return
                    parts.extend(self._settled(part, verdict))
                kept.settled()

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


def _seconds(header: str | None) -> float:
    """Read `Retry-After`, which is a number of seconds or a date."""
    written = (header or "").strip()
    try:
        seconds = float(written) if written[:1].isdigit() else _until(written)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _until(date: str) -> float:
    from email.utils import parsedate_to_datetime  # `http.client` has imported it long ago

    return parsedate_to_datetime(date).timestamp() - time.time()


def _said(body: bytes) -> dict[str, object]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _named(issues: object, size: int) -> tuple[frozenset[int], str]:
    """Give the positions of the events that the issues name, and the first issue in words."""
    positions: set[int] = set()
    first = ""
    for issue in issues if isinstance(issues, list) else []:
        path = str(issue.get("path", "")) if isinstance(issue, dict) else ""
        found = _EVENT_PATH.match(path)
        if found and int(found[1]) < size:
            positions.add(int(found[1]))
            first = first or f"({path}: {issue.get('message', '')})"
    return frozenset(positions), first

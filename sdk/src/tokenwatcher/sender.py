"""The background thread's work: send a batch, and see it settled one way or the other.

1. Each event is written as JSON; one that can't be is lost alone.
2. The batch is sent. No answer, 408, 425, 429 and 5xx: again, later each time, at most
   `max_retries` times. Every event keeps its id, so one that arrived twice counts once.
3. 413: the batch is halved. 400 or 409 with `issues`: the named events are lost, the rest is
   sent again. Any other refusal: the batch is lost.
"""

from __future__ import annotations

import json
import random
import re
from typing import Literal, NamedTuple

from tokenwatcher.event import Event, encode
from tokenwatcher.outbox import Outbox
from tokenwatcher.settings import Settings
from tokenwatcher.tally import Tally, log
from tokenwatcher.transport import Answer, Transport

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_LONGEST_RETRY_AFTER = 300.0
_AGAIN = {408, 425, 429}
_EVENT_PATH = re.compile(r"events\[(\d+)\]")

Part = list[bytes]
"""Events as JSON, to be sent in one request."""


class Verdict(NamedTuple):
    """What a server's answer means for the events that were sent."""

    kind: Literal["taken", "again", "halve", "refused"]
    why: str = ""
    pause: float | None = None
    """Seconds the server asks to wait."""
    bad: frozenset[int] = frozenset()
    """Positions of the events the server names; empty where it names none."""


def judge(answer: Answer, size: int) -> Verdict:
    """Say what an answer to `size` events means."""
    status = answer.status
    if 200 <= status < 300:
        return Verdict("taken")
    if status in _AGAIN or status >= 500:
        return Verdict("again", f"the server answered {status}", _seconds(answer.retry_after))
    problem = _problem(answer.body)
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
        self, settings: Settings, outbox: Outbox, transport: Transport, tally: Tally
    ) -> None:
        self._batch = settings.batch
        self._max_retries = settings.max_retries
        self._outbox = outbox
        self._transport = transport
        self._tally = tally

    def run(self) -> None:
        while (events := self._outbox.take()) is not None:
            try:
                self._deliver(events)
            except Exception as error:  # noqa: BLE001  # this thread must outlive any bug of ours
                self._tally.internal(error)
            finally:
                self._outbox.settle(len(events))
        self._transport.close()

    def _deliver(self, events: list[Event]) -> None:
        parts = [self._written(events)]
        while parts:
            part = parts.pop()
            if part:
                parts.extend(self._send(part))

    def _written(self, events: list[Event]) -> Part:
        part: Part = []
        for event in events:
            try:
                part.append(encode(event))
            except Exception as error:  # noqa: BLE001  # a tag's own __str__ may raise anything
                self._tally.lost("failed", 1, f"an event can't be written: {type(error).__name__}")
        return part

    def _send(self, part: Part) -> list[Part]:
        """Send until there is a verdict; give the parts that are still to be sent."""
        verdict = self._ask(part)
        if verdict.kind == "taken":
            self._tally.add("sent", len(part))
            log.debug("sent %d event(s)", len(part))
            return []
        if verdict.kind == "halve":
            middle = len(part) // 2
            return [part[middle:], part[:middle]]
        if not verdict.bad:
            self._tally.lost("failed", len(part), verdict.why)
            return []
        self._tally.lost("failed", len(verdict.bad), verdict.why)
        return [[event for position, event in enumerate(part) if position not in verdict.bad]]

    def _ask(self, part: Part) -> Verdict:
        attempt = 0
        while True:
            verdict = self._attempt(part)
            if verdict.kind != "again":
                return verdict
            attempt += 1
            if attempt > self._max_retries:
                return verdict._replace(kind="refused")
            self._tally.trouble(verdict.why)
            pause = pause_before(attempt) if verdict.pause is None else verdict.pause
            if not self._outbox.pause(pause):
                return verdict._replace(kind="refused")

    def _attempt(self, part: Part) -> Verdict:
        single = not self._batch and len(part) == 1
        path = "/api/ingest" if single else "/api/ingest/batch"
        body = part[0] if single else b'{"events":[' + b",".join(part) + b"]}"
        try:
            answer = self._transport.post(path, body)
        except OSError as error:
            return Verdict("again", f"no answer from the server: {error}")
        return judge(answer, len(part))


def _seconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None  # a date: the usual pause will do
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if seconds == seconds else None


def _problem(body: bytes) -> dict[str, object]:
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


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

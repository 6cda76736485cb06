"""What a server's answer means for the events that were sent."""

from __future__ import annotations

import json
import re
import time
from typing import Literal, NamedTuple

from tokenwatcher.transport import Answer

_LONGEST_RETRY_AFTER = 300.0
_AGAIN = {408, 425, 429}
_EVENT_PATH = re.compile(r"events\[(\d+)\]")


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

"""Takes secrets out of what is logged, at the sink: whatever is logged passes here.

A secret is known by the name of its field, by its look, or because it is one of the instance's
own. What people sent has no look of its own; so of an error that another library raised only the
place and the type are kept, as its message may quote a prompt.
"""

import re
import traceback
from collections.abc import Iterable, MutableMapping
from types import TracebackType
from typing import Any

from tokenwatcher_server.observability.credentials import mask_credentials

MASK = "***"
SHORTEST_SECRET = 6
"""A shorter one would be found in words."""
_NAMES = re.compile(
    r"authorization|cookie|passw|secret|token|api_?key|raw_?key|prompt|completion|body|query", re.I
)
_TEXTS = re.compile(
    r"(?P<query>(?<=[\w/])\?)[^\s\"'<>?]*=[^\s\"'<>]*"  # what follows a path
    r"|(?P<link>/(?:sign-in|invitation)/)[A-Za-z0-9_-]{8,}"
    r"|(?P<header>\b(?:set-)?cookie[\"']?\s*[:=]\s*|\bx-csrf-token[\"']?\s*[:=]\s*)[^\r\n]+"
    r"|(?P<hook>hooks\.slack\.com/)\S+"
    r"|\bwhsec_[A-Za-z0-9+/=]+",
    re.I,
)
_OWN = "tokenwatcher_server"

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Redaction:
    """A step of logging that masks secrets; `secrets` are the instance's own."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len)
        self._known = re.compile("|".join(map(re.escape, reversed(known)))) if known else None

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for name, value in event.items():
            event[name] = MASK if _NAMES.search(name) else self._clean(value)
        return event

    def _clean(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(name)): MASK if _NAMES.search(str(name)) else self._clean(inner)
                for name, inner in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean(inner) for inner in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return self.text(str(value))

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        return _TEXTS.sub(_masked, mask_credentials(text))


def _masked(found: re.Match[str]) -> str:
    kept = found["query"] or found["link"] or found["header"] or found["hook"] or ""
    return f"{kept}{MASK}"


def error_text(exc_info: ExcInfo) -> str:
    """Where an error came from, and what from; the text of our own errors alone."""
    error: BaseException | None = exc_info[1]
    parts: list[str] = []
    while error is not None and len(parts) < 10:
        place = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{place}{type(error).__qualname__}: {_message(error)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nafter which:\n\n".join(reversed(parts))


def whole_error_text(exc_info: ExcInfo) -> str:
    """The same with every message, for development."""
    return "".join(traceback.format_exception(*exc_info))


def _message(error: BaseException) -> str:
    if type(error).__module__.startswith(_OWN):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "(the message is left out, as it may quote what was sent)"

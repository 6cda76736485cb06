"""Server-sent events out of bytes that come in pieces of any size."""

from __future__ import annotations

import re

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_LINE_END = re.compile(r"\r\n|\n|\r")
_LONGEST_END = 4


class ServerSentEvents:
    """Takes the bytes of a stream; gives each event when it has come whole."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> list[tuple[bytes, str]]:
        """Take a piece; gives the events that it completes: their bytes, and their data."""
        self._held += piece
        found = []
        start = 0
        while (end := _END.search(self._held, max(start, self._searched))) is not None:
            raw = bytes(self._held[start : end.end()])
            found.append((raw, _data(raw)))
            start = self._searched = end.end()
        del self._held[:start]
        self._searched = max(0, len(self._held) - _LONGEST_END)
        return found

    def rest(self) -> bytes:
        """Give what has come of an event that is not whole."""
        return bytes(self._held)


def _data(raw: bytes) -> str:
    """Join the lines of data of an event, as the standard has it."""
    lines = _LINE_END.split(raw.decode("utf-8", "replace"))
    data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
    return "\n".join(data)

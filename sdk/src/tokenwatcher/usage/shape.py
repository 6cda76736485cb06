"""A shape: how one kind of answer says what a call used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tokenwatcher.usage.peek import peek
from tokenwatcher.usage.reading import Reading


class Stream:
    """What the chunks of a stream have said so far; nothing of what was generated."""

    __slots__ = ("answer", "final", "generated", "generating", "kind")

    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.answer: dict[str, Any] = {} if answer is None else answer
        """The fields of the answer that the shape's `read` will look at."""
        self.generating: bool = False
        """Some output has come."""
        self.generated: int = 0
        """The bytes of text that have come; only shapes whose streams may keep silent count them."""
        self.kind: type | None = None
        """The class of pieces that bring text, once one has come."""
        self.final: bool = False
        """The counts that have come are the last ones."""


class Shape(NamedTuple):
    """One kind of answer. To add a provider, write one of these and list it in `usage`."""

    name: str
    provider: str
    """Who is taken to have answered where the caller does not say."""
    recognises: Callable[[Any], bool]
    """Whether a whole answer is of this shape."""
    read: Callable[[Any, str], Reading]
    """Read an answer (or the `answer` gathered from a stream) of the named provider."""
    recognises_chunk: Callable[[Any], bool]
    """Whether a piece of a stream is of this shape."""
    fold: Callable[[Stream, Any], None]
    """Take note of what a piece of a stream says."""
    marks: frozenset[str] = frozenset()
    """What `object` or `type` says in answers that can be of this shape alone."""
    fields: tuple[str, ...] = ()
    """All that `read` looks at, where that is little: it is then copied, and read by the sender."""


def keep(stream: Stream, chunk: Any, *names: str) -> None:
    """Remember the named fields of a chunk where it has them."""
    for name in names:
        value = peek(chunk, name)
        if value is not None and value != "":
            stream.answer[name] = value

"""A table to be taken away in a file: named columns, each of one kind."""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

Kind = Literal["text", "integer", "number", "usd", "instant"]
"""`usd` is exact decimal text; `instant` is microseconds since 1970 (UTC)."""


class Column(msgspec.Struct, frozen=True):
    name: str
    kind: Kind
    values: Sequence[str | int | float | None]


FileWriter = Callable[[Sequence[Column]], bytes]
"""Makes a file of columns of the same length; it takes a while, so call it in a thread."""

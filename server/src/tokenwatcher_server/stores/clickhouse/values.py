"""How values go beside a statement: each by a name and a type, never in its text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tokenwatcher_server.stores.sql import Bindings, Placeholder

Values = Mapping[str, Any]
LONGEST: Final = 120_000
"""Bytes of one value; a server takes 131,072 by default."""
_BETWEEN: Final = len("\\n")


def placeholder(prefix: str = "p") -> Placeholder:
    """What stands for a value; `prefix` keeps apart the statements that are asked together."""

    def stands_for(place: int, value: object) -> str:
        if isinstance(value, int):
            return f"{{{prefix}{place}:Int64}}"
        plain = f"{{{prefix}{place}:String}}"
        return plain if _is_plain(value) else f"unhex({plain})"

    return stands_for


def bindings() -> Bindings:
    return Bindings(placeholder())


def named(values: Sequence[Any], prefix: str = "p") -> Values:
    """The bound values of a statement by their names."""
    return {
        f"{prefix}{place}": value if isinstance(value, int) or _is_plain(value) else _hex(value)
        for place, value in enumerate(values, 1)
    }


def listed(name: str, given: Sequence[str], read: str = "{text}") -> tuple[str, Values]:
    """What stands for many values, to be searched `in`, and the values behind it.

    They go as a few long texts, one value a line, and `read` says what is made of each: that is
    many times faster than a list of the server's own.
    """
    plain = all(map(_is_plain, given))
    lines = given if plain else list(map(_hex, given))
    values = {f"{name}{number}": "\n".join(part) for number, part in enumerate(_portions(lines))}
    parts = ", ".join(f"splitByChar('\\n', {{{part}:String}})" for part in values)
    text = f"arrayJoin(arrayConcat({parts}))"
    return f"(select {read.format(text=text if plain else f'unhex({text})')})", values


def _portions(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts short enough to be sent, one for all where they are few."""
    start = size = 0
    for place, line in enumerate(lines):
        needed = len(line.encode()) + _BETWEEN
        if size + needed > LONGEST and place > start:
            yield lines[start:place]
            start, size = place, 0
        size += needed
    yield lines[start:]


def _is_plain(value: object) -> bool:
    """Whether a text has nothing that would have to be escaped on its way."""
    return isinstance(value, str) and value.isprintable() and "\\" not in value


def _hex(value: str) -> str:
    return value.encode().hex()

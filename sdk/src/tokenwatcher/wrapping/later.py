"""A part of a client that its library makes when the app first uses it, and not for our sake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Later:
    """Stands where the part will be kept; the first use has it made, then has it patched."""

    __slots__ = ("_built", "_holder", "_name", "_part", "_patch")

    def __init__(self, holder: Any, name: str, built: str, patch: Callable[[Any], None]) -> None:
        self._holder = holder
        self._name = name
        self._built = built
        self._patch = patch
        self._part: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Later.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._made(), name, value)

    def __repr__(self) -> str:
        return repr(self._made())

    @property  # type: ignore[misc]  # isinstance() then holds as it does for the part
    def __class__(self) -> type:
        return type(self._made())

    def _made(self) -> Any:
        if self._part is None:
            kept = self._holder.__dict__
            if self._built == self._name:
                kept.pop(self._built, None)  # its absence has the library make it
            else:
                kept[self._built] = None
            part = getattr(self._holder, self._name)
            self._patch(part)
            kept[self._built] = self._part = part
        return self._part


def is_made(holder: Any, built: str) -> bool:
    """Whether a part that is made on first use is there."""
    return getattr(holder, "__dict__", {}).get(built) is not None

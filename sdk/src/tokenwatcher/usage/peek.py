"""Looking into answers that may be dicts or objects of a provider's library; never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

SCALARS = frozenset({str, int, float, bool, type(None)})
"""The types of values that can't be changed."""


fields_of = attrgetter("__dict__", "__pydantic_extra__")
"""The fields of a model of pydantic that its class knows, and the others or None."""


def peek(source: Any, *names: str) -> Any:
    """Give the first of the named items or attributes that is there and not None."""
    if isinstance(source, dict):
        for name in names:
            value = source.get(name)
            if value is not None:
                return value
        return None
    return None if source is None else _peek_object(source, names)


def opened(source: Any) -> Any:
    """Give an object of a library as the dict of its fields, which is quick to look into.

    Only models of pydantic are opened; anything else is given as it is.
    """
    kind: Any = type(source)
    if kind is dict or not is_model(kind):
        return source
    fields, extra = fields_of(source)
    return {**extra, **fields} if extra else fields


@lru_cache(maxsize=256)
def is_model(kind: type) -> bool:
    """Tell whether objects of a class are models of pydantic, which is asked for each of them."""
    return hasattr(kind, "__pydantic_fields__")


def copied(value: Any) -> Any:
    """Copy the numbers and texts of a small object, so that the app can't change them any more."""
    copy: dict[str, Any]
    try:
        fields, extra = fields_of(value)
        copy = {**extra, **fields} if extra else fields.copy()
    except AttributeError:
        if isinstance(value, (list, tuple)):
            return [copied(inner) for inner in value]
        if type(value) is not dict:
            return value
        copy = value.copy()
    for name, inner in copy.items():
        if type(inner) not in SCALARS:
            copy[name] = copied(inner)
    return copy


def _peek_object(source: Any, names: tuple[str, ...]) -> Any:
    try:
        # a pydantic model takes long to say that it lacks something, so its fields are asked
        look_up = reader(opened(source))
        for name in names:
            value = look_up(name)
            if value is not None:
                return value
    except Exception:  # noqa: BLE001  # a property of a strange object may raise anything
        return None
    return None


def reader(source: Any) -> Callable[[str], Any]:
    """Give what looks one name up in something opened: its own `get`, if it is a mapping."""
    if type(source) is dict or isinstance(source, Mapping):
        return source.get
    return partial(_attribute, source)


def _attribute(source: Any, name: str) -> Any:
    return getattr(source, name, None)


def text(source: Any, *names: str) -> str | None:
    """Give the first of the named items that is a text with something in it."""
    for name in names:
        value = source.get(name) if type(source) is dict else peek(source, name)
        if value is None:
            continue
        if not isinstance(value, str):
            value = getattr(value, "value", None)  # an enumeration stands for its text
        if isinstance(value, str) and value:
            return value
    return None


def count(source: Any, *names: str) -> int | None:
    """Give the first of the named items if it is a whole number of at least zero."""
    if source is None:
        return None
    if type(source) is dict and len(names) == 1:
        value = source.get(names[0])
        if value is None:
            return None
    else:
        value = peek(source, *names)
    return value if type(value) is int and value >= 0 else as_count(value)


def as_count(value: Any) -> int | None:
    """Give a whole number of at least zero (Cohere and Titan write them as 12.0), else None."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return int(value) if value >= 0 else None
    if isinstance(value, float) and value >= 0 and value.is_integer():
        return int(value)
    return None


def items(source: Any, *names: str) -> list[Any]:
    """Give the first of the named items if it is a list, else an empty one."""
    value = peek(source, *names)
    return list(value) if isinstance(value, (list, tuple)) else []


def size(*texts: Any) -> int:
    """Give the bytes that texts have in UTF-8; what is no text has none."""
    total = 0
    for one in texts:
        if one is not None and isinstance(one, str):
            total += len(one) if one.isascii() else len(one.encode("utf-8", "replace"))
    return total

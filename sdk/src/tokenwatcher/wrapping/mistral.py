"""Mistral's library: its second and third version, and the first, which lay elsewhere."""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import text
from tokenwatcher.wrapping.provider import Asked, Method, Provider

_FOLDERS = ("mistralai.client", "mistralai")
_COMPLETE = ("complete", "complete_async", "stream", "stream_async")
_CREATE = ("create", "create_async")


def read(
    _part: Any, _args: tuple[Any, ...], kwargs: dict[str, Any], _settings: Settings
) -> Asked | None:
    """Read the arguments, which are all given by name."""
    facts = Facts("mistral", text(kwargs, "model"), text(kwargs, "service_tier"))
    return Asked(facts, body=kwargs)


def _methods(part: str, kind: str, names: tuple[str, ...]) -> tuple[Method, ...]:
    return tuple(
        Method(owner=f"{folder}.{part}:{kind}", name=name, asked=read, path=part, built=part)
        for folder in _FOLDERS
        for name in names
    )


PROVIDER = Provider(
    package="mistralai",
    clients=frozenset({"Mistral"}),
    methods=(
        *_methods("chat", "Chat", _COMPLETE),
        *_methods("fim", "Fim", _COMPLETE),
        *_methods("agents", "Agents", _COMPLETE),
        *_methods("embeddings", "Embeddings", _CREATE),
    ),
)

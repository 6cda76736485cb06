"""Ollama's library, its clients and the functions that use one of its own."""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import text
from tokenwatcher.wrapping.provider import Asked, Method, Provider

_COUNTED = frozenset({"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"})


def read(
    _client: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _settings: Settings
) -> Asked | None:
    """Read a request: the kind of its answer, the HTTP method, the path, and the body by name."""
    if not _COUNTED.intersection(arg for arg in args if isinstance(arg, str)):
        return None
    body = kwargs.get("json")
    return Asked(
        Facts("ollama", text(body, "model")), body=body if isinstance(body, dict) else None
    )


PROVIDER = Provider(
    package="ollama",
    clients=frozenset({"Client", "AsyncClient"}),
    methods=(
        Method(owner="ollama._client:Client", name="_request", asked=read),
        Method(owner="ollama._client:AsyncClient", name="_request", asked=read),
    ),
)

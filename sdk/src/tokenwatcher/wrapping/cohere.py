"""Cohere's library: the clients of its first and of its second version."""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import text
from tokenwatcher.wrapping.provider import Asked, Method, Provider


def read(
    _client: Any, _args: tuple[Any, ...], kwargs: dict[str, Any], _settings: Settings
) -> Asked | None:
    """Read the arguments, which are all given by name."""
    return Asked(Facts("cohere", text(kwargs, "model")), body=kwargs)


def _methods(owner: str, *names: str) -> tuple[Method, ...]:
    return tuple(Method(owner=owner, name=name, asked=read) for name in names)


PROVIDER = Provider(
    package="cohere",
    clients=frozenset({"Client", "AsyncClient", "ClientV2", "AsyncClientV2"}),
    methods=(
        *_methods("cohere.v2.client:V2Client", "chat", "chat_stream", "embed", "rerank"),
        *_methods("cohere.v2.client:AsyncV2Client", "chat", "chat_stream", "embed", "rerank"),
        *_methods("cohere.base_client:BaseCohere", "chat", "chat_stream", "rerank"),
        *_methods("cohere.base_client:AsyncBaseCohere", "chat", "chat_stream", "rerank"),
        # these send a long list of texts in several requests and add up what they used
        *_methods("cohere.client:Client", "embed"),
        *_methods("cohere.client:AsyncClient", "embed"),
    ),
)

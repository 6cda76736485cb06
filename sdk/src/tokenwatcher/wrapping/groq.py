"""Groq's library."""

from __future__ import annotations

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.wrapping.provider import Asked, Provider
from tokenwatcher.wrapping.stainless import Request, methods

_PAID = frozenset(
    {
        "/openai/v1/chat/completions",
        "/openai/v1/embeddings",
        "/openai/v1/audio/transcriptions",
        "/openai/v1/audio/translations",
        "/openai/v1/audio/speech",
    }
)


def read(request: Request, _settings: Settings) -> Asked | None:
    """Read a request; None for one that is not paid for."""
    if request.path not in _PAID or request.options.method != "post":
        return None
    return Asked(Facts("groq", request.model, request.service_tier))


PROVIDER = Provider(
    package="groq",
    clients=frozenset({"Groq", "AsyncGroq"}),
    methods=methods("groq", read),
    copies=("copy", "with_options"),
)

"""Google's library, for the Gemini API and for Vertex.

The methods patched are those that make one request each: an answer for which the library calls
functions, or goes on where the model stopped, takes several, and each is charged.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import text
from tokenwatcher.wrapping.provider import Asked, Method, Provider


def read(
    _models: Any, _args: tuple[Any, ...], kwargs: dict[str, Any], _settings: Settings
) -> Asked | None:
    """Read the arguments, which are all given by name."""
    tier = text(kwargs.get("config"), "service_tier") or text(kwargs, "service_tier")
    return Asked(Facts("google", text(kwargs, "model"), tier), body=kwargs)


def _methods(kind: str, path: str) -> tuple[Method, ...]:
    return tuple(
        Method(owner=f"google.genai.models:{kind}", name=name, asked=read, path=path)
        for name in ("_generate_content", "_generate_content_stream", "embed_content")
    )


def _interactions(kind: str, path: str) -> Method:
    """Interactions go their own way, with a client that is made when it is first used."""
    return Method(
        owner=f"google.genai._gaos.google_genai:{kind}",
        name="create",
        asked=read,
        path=path,
        built="_interactions",
    )


PROVIDER = Provider(
    package="google.genai",
    clients=frozenset({"Client"}),
    methods=(
        *_methods("Models", "models"),
        *_methods("AsyncModels", "aio.models"),
        _interactions("GeminiNextGenInteractions", "interactions"),
        _interactions("AsyncGeminiNextGenInteractions", "aio.interactions"),
    ),
)

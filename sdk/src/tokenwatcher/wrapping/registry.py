"""The supported libraries: one line each, imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import MappingProxyType
from typing import Any

from tokenwatcher.wrapping.provider import Provider

FILES = MappingProxyType(
    {
        "openai": "tokenwatcher.wrapping.openai",
        "anthropic": "tokenwatcher.wrapping.anthropic",
        "google.genai": "tokenwatcher.wrapping.google",
        "botocore": "tokenwatcher.wrapping.bedrock",
        "mistralai": "tokenwatcher.wrapping.mistral",
        "cohere": "tokenwatcher.wrapping.cohere",
        "groq": "tokenwatcher.wrapping.groq",
        "ollama": "tokenwatcher.wrapping.ollama",
    }
)
"""The package of each library, and the module that holds its `PROVIDER`."""


def providers() -> Iterator[Provider]:
    """Give every supported provider."""
    for name in FILES:
        yield _load(name)


def provider_of(client: Any) -> Provider | None:
    """Find whose client an object is, by the modules and names of its classes."""
    for kind in type(client).__mro__:
        for package in FILES:
            if f"{kind.__module__}.".startswith(f"{package}."):
                provider = _load(package)
                if kind.__name__ in provider.clients:
                    return provider
    return None


def _load(package: str) -> Provider:
    provider: Provider = import_module(FILES[package]).PROVIDER
    return provider

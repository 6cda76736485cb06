"""Anthropic's library: its own address, Bedrock, Vertex and Foundry."""

from __future__ import annotations

from typing import Any

from tokenwatcher.settings import Settings
from tokenwatcher.wrap.hosts import host_of
from tokenwatcher.wrap.provider import Asked, Provider
from tokenwatcher.wrap.stainless import Request, methods

_PAID = frozenset({"/v1/messages", "/v1/complete"})


def read(request: Request, _settings: Settings) -> Asked | None:
    """Read a request; None for one that is not paid for by its tokens."""
    if request.path not in _PAID or request.options.method != "post":
        return None
    provider = provider_of_client(request.client)
    return Asked(provider, request.model, request.service_tier, request.streaming)


def provider_of_client(client: Any) -> str:
    """Tell who answers a client: the kind of client says it, whatever the address."""
    names = {kind.__name__ for kind in type(client).__mro__}
    if any("Bedrock" in name for name in names):
        return "bedrock"
    if any("Vertex" in name for name in names):
        return "google"
    if any("Foundry" in name for name in names):
        return "azure"
    url = client.base_url
    host = host_of(url.raw_host.decode("ascii", "replace"), url.port)
    return host.provider


PROVIDER = Provider(
    package="anthropic",
    clients=frozenset(
        f"{prefix}{name}"
        for prefix in ("", "Async")
        for name in (
            "Anthropic",
            "AnthropicBedrock",
            "AnthropicBedrockMantle",
            "AnthropicVertex",
            "AnthropicFoundry",
        )
    ),
    methods=methods("anthropic", read),
    copies=("copy", "with_options"),
)

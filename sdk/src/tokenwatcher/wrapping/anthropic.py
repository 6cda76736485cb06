"""Anthropic's library: its own address, Bedrock, Vertex and Foundry."""

from __future__ import annotations

from typing import Any

from tokenwatcher.event import Facts
from tokenwatcher.settings import Settings
from tokenwatcher.usage.peek import peek
from tokenwatcher.wrapping.provider import Asked, Provider
from tokenwatcher.wrapping.stainless import Request, host_of_client, methods

_PAID = frozenset({"/v1/messages", "/v1/complete"})
_RUN_BY = (("Bedrock", "bedrock"), ("Vertex", "google"), ("Foundry", "azure"))
_CLIENTS = (
    "Anthropic",
    "AnthropicBedrock",
    "AnthropicBedrockMantle",
    "AnthropicVertex",
    "AnthropicFoundry",
)


def read(request: Request, _settings: Settings) -> Asked | None:
    """Read a request; None for one that is not paid for by its tokens."""
    method, path = request.options.method, request.path
    if method == "post" and path in _PAID:
        return Asked(Facts(provider_of_client(request.client), request.model, request.service_tier))
    if method == "get" and "/messages/batches/" in path and path.endswith("/results"):
        return Asked(Facts(provider_of_client(request.client)), fetches=True, each=_message_of)
    return None


def _message_of(line: Any) -> Any:
    """Find the message in one result of a batch; one that failed has none, and costs nothing."""
    return peek(peek(line, "result"), "message")


def provider_of_client(client: Any) -> str:
    """Tell who answers a client: its kind says it, whatever the address."""
    name = type(client).__name__
    for part, provider in _RUN_BY:
        if part in name:
            return provider
    return host_of_client(client).provider


PROVIDER = Provider(
    package="anthropic",
    clients=frozenset(f"{prefix}{name}" for prefix in ("", "Async") for name in _CLIENTS),
    methods=methods("anthropic", read),
    copies=("copy", "with_options"),
)

"""OpenAI's library, for OpenAI, Azure and every server that speaks its language."""

from __future__ import annotations

from typing import Any

from tokenwatcher.settings import Settings
from tokenwatcher.wrap.hosts import Host, host_of
from tokenwatcher.wrap.provider import Asked, Provider
from tokenwatcher.wrap.stainless import Request, methods

_PAID = frozenset(
    {
        "/chat/completions",
        "/completions",
        "/responses",
        "/responses/compact",
        "/embeddings",
        "/images/generations",
        "/images/edits",
        "/images/variations",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
    }
)
_AZURE_CLIENTS = ("AzureOpenAI", "AsyncAzureOpenAI")


def read(request: Request, _settings: Settings) -> Asked | None:
    """Read a request; None for one that is not paid for by its tokens."""
    if request.path not in _PAID or request.options.method != "post":
        return None
    host = host_of_client(request.client)
    return Asked(host.provider, request.model, request.service_tier, request.streaming)


def host_of_client(client: Any) -> Host:
    """Tell who answers a client."""
    url = client.base_url
    return host_of(url.raw_host.decode("ascii", "replace"), url.port)


PROVIDER = Provider(
    package="openai",
    clients=frozenset({"OpenAI", "AsyncOpenAI", *_AZURE_CLIENTS}),
    methods=methods("openai", read),
    copies=("copy", "with_options"),
)

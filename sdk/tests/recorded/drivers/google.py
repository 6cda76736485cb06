"""Google's library: the Gemini API and Vertex."""

from typing import Any

from google import genai
from google.auth.credentials import AnonymousCredentials
from google.genai import types

from sdk.tests.recorded.drivers.driver import Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of

_APIS = {
    "gemini.generateContent",
    "gemini.embeddings",
    "gemini.interactions",
    "vertex.generateContent",
    "vertex.embeddings",
}


def receives(exchange: Exchange) -> bool:
    """Interactions, and what an embedding used, are not known to older versions."""
    if exchange["api"] == "gemini.interactions":
        return hasattr(genai.Client, "interactions")
    if exchange["api"] in {"gemini.embeddings", "vertex.embeddings"}:
        return "usage_metadata" in types.EmbedContentResponse.model_fields
    return exchange["api"] in _APIS


def address(exchange: Exchange) -> str:
    return f"{exchange['provider']} http://{host_of(exchange)}"


def connect(address: str, asynchronous: bool) -> Any:  # noqa: ARG001  # one client is both
    provider, url = address.split()
    options: Any = {"base_url": url}
    if provider == "vertex":
        return genai.Client(
            vertexai=True,
            project="made-up",
            location="global",
            credentials=Nobody(),
            http_options=options,
        )
    return genai.Client(api_key="made-up", http_options=options)


def call(client: Any, exchange: Exchange, asynchronous: bool) -> Any:
    if asynchronous:
        client = client.aio
    model, stream = model_of(exchange), exchange["streaming"]
    if exchange["api"] == "gemini.interactions":
        return client.interactions.create(model=model, input="Hello!", stream=stream)
    if exchange["api"] in {"gemini.embeddings", "vertex.embeddings"}:
        return client.models.embed_content(model=model, contents=["Hello!"])
    if stream:
        return client.models.generate_content_stream(model=model, contents="Hello!")
    return client.models.generate_content(model=model, contents="Hello!")


class Nobody(AnonymousCredentials):
    """Credentials that say a token, which the client of Vertex wants to see."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "made-up"

    @property
    def expired(self) -> bool:
        return False

    def refresh(self, request: Any) -> None:
        pass


DRIVER = Driver("google-genai", receives, address, connect, call)

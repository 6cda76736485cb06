"""Mistral's library."""

from typing import Any

try:
    from mistralai.client import Mistral
except ImportError:  # its first version
    from mistralai import Mistral

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, provider_of


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "mistral"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, _asynchronous: bool) -> Any:
    return Mistral(api_key="made-up", server_url=address)


def call(client: Any, exchange: Exchange, asynchronous: bool) -> Any:
    model = model_of(exchange)
    if exchange["api"] == "mistral.embeddings":
        create = client.embeddings.create_async if asynchronous else client.embeddings.create
        return create(model=model, inputs=["Hello!"])
    name = "stream" if exchange["streaming"] else "complete"
    method = getattr(client.chat, f"{name}_async" if asynchronous else name)
    return method(model=model, messages=HELLO)


DRIVER = Driver("mistralai", receives, address, connect, call)

"""Mistral's library."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, provider_of

# its first version lay one folder higher
library: Any = import_module("mistralai" if find_spec("mistralai.sdk") else "mistralai.client")


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "mistral"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, _asynchronous: bool) -> Any:
    return library.Mistral(api_key="made-up", server_url=address)


def call(client: Any, exchange: Exchange, asynchronous: bool) -> Any:
    model = model_of(exchange)
    if exchange["api"] == "mistral.embeddings":
        create = client.embeddings.create_async if asynchronous else client.embeddings.create
        return create(model=model, inputs=["Hello!"])
    name = "stream" if exchange["streaming"] else "complete"
    method = getattr(client.chat, f"{name}_async" if asynchronous else name)
    return method(model=model, messages=HELLO)


DRIVER = Driver("mistralai", receives, address, connect, call)

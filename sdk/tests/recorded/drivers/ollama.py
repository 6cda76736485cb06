"""Ollama's library."""

from typing import Any

import ollama

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, provider_of


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "ollama"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, asynchronous: bool) -> Any:
    return ollama.AsyncClient(host=address) if asynchronous else ollama.Client(host=address)


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    model = model_of(exchange) or ""
    operation = exchange["api"].split(".")[1]
    if operation == "embeddings":
        return client.embeddings(model=model, prompt="Hello!")
    if operation == "generate":
        return client.generate(model=model, prompt="Hello!", stream=exchange["streaming"])
    return client.chat(model=model, messages=HELLO, stream=exchange["streaming"])


DRIVER = Driver("ollama", receives, address, connect, call)

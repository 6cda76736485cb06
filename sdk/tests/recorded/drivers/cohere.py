"""Cohere's library: its first and its second version."""

from typing import Any

import cohere

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, path_of, provider_of


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "cohere"


def address(exchange: Exchange) -> str:
    version = path_of(exchange).split("/")[1]
    return f"{version} http://{host_of(exchange)}"


def connect(address: str, asynchronous: bool) -> Any:
    version, url = address.split()
    if version == "v2":
        second = cohere.AsyncClientV2 if asynchronous else cohere.ClientV2
        return second(api_key="made-up", base_url=url)
    first = cohere.AsyncClient if asynchronous else cohere.Client
    return first(api_key="made-up", base_url=url)


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    model = model_of(exchange)
    operation = path_of(exchange).split("/")[2]
    if operation == "rerank":
        return client.rerank(model=model, query="Hello?", documents=["Hello!"])
    if operation == "embed":
        return client.embed(
            model=model, texts=["Hello!"], input_type="search_query", embedding_types=["float"]
        )
    method = client.chat_stream if exchange["streaming"] else client.chat
    if path_of(exchange).startswith("/v2"):
        return method(model=model, messages=HELLO)
    return method(model=model, message="Hello!")


DRIVER = Driver("cohere", receives, address, connect, call)

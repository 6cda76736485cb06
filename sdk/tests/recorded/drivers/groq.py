"""Groq's library."""

from typing import Any

import groq

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, provider_of


def receives(exchange: Exchange) -> bool:
    return provider_of(exchange) == "groq"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, asynchronous: bool) -> Any:
    kind = groq.AsyncGroq if asynchronous else groq.Groq
    return kind(base_url=address, api_key="made-up", max_retries=0)


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    return client.chat.completions.create(
        model=model_of(exchange), messages=HELLO, stream=exchange["streaming"]
    )


DRIVER = Driver("groq", receives, address, connect, call)

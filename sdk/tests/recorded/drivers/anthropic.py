"""Anthropic's library."""

from typing import Any

import anthropic
import anthropic.resources

from sdk.tests.recorded.drivers.driver import HELLO, Driver
from sdk.tests.recorded.exchanges import Exchange, host_of, model_of, path_of, provider_of


def receives(exchange: Exchange) -> bool:
    """Text completions were dropped in the library's second version."""
    if path_of(exchange) == "/v1/complete":
        return hasattr(anthropic.resources, "Completions")
    return provider_of(exchange) == "anthropic"


def address(exchange: Exchange) -> str:
    return f"http://{host_of(exchange)}"


def connect(address: str, asynchronous: bool) -> Any:
    kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    return kind(base_url=address, api_key="made-up", max_retries=0)


def call(client: Any, exchange: Exchange, _asynchronous: bool) -> Any:
    model, stream = model_of(exchange), exchange["streaming"]
    if path_of(exchange) == "/v1/complete":
        return client.completions.create(
            model=model, prompt="Hello!", max_tokens_to_sample=64, stream=stream
        )
    beta = "beta=true" in exchange["request"]["path"]
    messages = client.beta.messages if beta else client.messages
    return messages.create(model=model, messages=HELLO, max_tokens=64, stream=stream)


DRIVER = Driver("anthropic", receives, address, connect, call)

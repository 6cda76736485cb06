"""What a driver is: how an app calls one provider's client library."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sdk.tests.recorded.exchanges import Exchange


class Driver(NamedTuple):
    """How an app calls a library, so that its client receives a given exchange."""

    name: str
    receives: Callable[[Exchange], bool]
    """Whether this library's client can receive the exchange."""
    address: Callable[[Exchange], str]
    """What a client must be made for: exchanges of the same address can share one."""
    connect: Callable[[str, bool], Any]
    """Make a client for an address; the second argument asks for an asynchronous one."""
    call: Callable[[Any, Exchange, bool], Any]
    """Make the call, the asynchronous one if so: gives an answer, an awaitable, or a stream."""
    asynchronous: bool = True
    """Whether the library has asynchronous clients."""


HELLO = [{"role": "user", "content": "Hello!"}]
"""What is asked does not matter: the answer is recorded."""

"""What the command line may ask of a running server; each is an async function by name.

The same functions run inside the command itself where no server runs on the data folder.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tokenwatcher_server.web.services import Services


class Operation(msgspec.Struct, frozen=True):
    """`run(services, arguments)`; arguments and result are Structs of these types."""

    run: Callable[[Services, Any], Awaitable[Any]]
    arguments: type[msgspec.Struct]
    result: type[msgspec.Struct]


OPERATIONS: dict[str, Operation] = {}

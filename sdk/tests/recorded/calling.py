"""Calling a driver's client, and taking down all that the app gets to see."""

import asyncio
from typing import Any, NamedTuple

from sdk.tests.recorded.drivers.driver import Driver
from sdk.tests.recorded.exchanges import Exchange


class Seen(NamedTuple):
    """What an app sees of a call: the kinds and the values."""

    kind: type
    value: Any = None
    """The answer; of an exception, its text."""
    pieces: list[Any] | None = None
    """What a stream gave."""
    piece_kinds: list[type] | None = None
    failed: bool = False


def call(driver: Driver, client: Any, exchange: Exchange) -> Seen:
    """Make the call as a synchronous app does, to the end of its stream."""
    try:
        answer = driver.call(client, exchange, False)
        if hasattr(answer, "__next__"):
            return _of_stream(answer, list(answer))
        return _of_answer(answer)
    except Exception as error:  # noqa: BLE001  # each client has its own
        return Seen(type(error), str(error), failed=True)


async def call_async(driver: Driver, client: Any, exchange: Exchange) -> Seen:
    """Make the call as an asynchronous app does, to the end of its stream."""
    try:
        answer = driver.call(client, exchange, True)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if hasattr(answer, "__anext__"):
            return _of_stream(answer, [piece async for piece in answer])
        return _of_answer(answer)
    except Exception as error:  # noqa: BLE001  # each client has its own
        return Seen(type(error), str(error), failed=True)


def _of_stream(stream: Any, pieces: list[Any], value: Any = None) -> Seen:
    return Seen(stream.__class__, value, pieces, [type(piece) for piece in pieces])


def _of_answer(answer: Any) -> Seen:
    """An answer of AWS holds its stream, or a body that is still to be read."""
    if isinstance(answer, dict):
        for name in ("stream", "body"):
            if name in answer:
                inner = answer.pop(name)
                if hasattr(inner, "read"):
                    return Seen(type(inner), answer, [inner.read()])
                return _of_stream(inner, list(inner), answer)
    return Seen(type(answer), answer)

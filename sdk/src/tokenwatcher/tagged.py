"""Functions whose calls begin within a block of tags, as a decorator has it.

A coroutine function stays one, and so does a generator of either kind. The block is open while the
function runs, and not while its caller does between two pieces of a generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Block = AbstractContextManager[None, None]


def tagged(block: Block, function: Callable[P, T]) -> Callable[P, T]:
    """Give the function with the block around what it does."""
    import inspect  # it takes longer than all of ours to import

    around: Callable[..., Any]
    if inspect.isasyncgenfunction(function):
        around = _async_generator(block, function)
    elif inspect.isgeneratorfunction(function):
        around = _generator(block, function)
    elif inspect.iscoroutinefunction(function):
        around = _coroutine(block, function)
    else:
        around = _function(block, function)
    return wraps(function)(around)


def _function(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Any:
        with block:
            return function(*args, **named)

    return run


def _coroutine(block: Block, function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    async def run(*args: Any, **named: Any) -> Any:
        with block:
            return await function(*args, **named)

    return run


def _generator(
    block: Block, function: Callable[..., Generator[Any, Any, Any]]
) -> Callable[..., Any]:
    def run(*args: Any, **named: Any) -> Generator[Any, Any, Any]:
        pieces = function(*args, **named)
        step, given = pieces.send, None
        while True:
            try:
                with block:
                    piece = step(given)
            except StopIteration as end:
                return end.value
            try:
                step, given = pieces.send, (yield piece)
            except GeneratorExit:
                with block:
                    pieces.close()
                raise
            except BaseException as error:  # noqa: BLE001  # it is thrown into the function
                step, given = pieces.throw, error

    return run


def _async_generator(
    block: Block, function: Callable[..., AsyncGenerator[Any, Any]]
) -> Callable[..., Any]:
    async def run(*args: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        pieces = function(*args, **named)
        step, given = pieces.asend, None
        while True:
            try:
                with block:
                    piece = await step(given)
            except StopAsyncIteration:
                return
            try:
                step, given = pieces.asend, (yield piece)
            except GeneratorExit:
                with block:
                    await pieces.aclose()
                raise
            except BaseException as error:  # noqa: BLE001  # it is thrown into the function
                step, given = pieces.athrow, error

    return run

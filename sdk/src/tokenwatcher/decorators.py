"""The decorator: every call of a function is recorded as a call to a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

Track = Callable[..., Any]
"""`TokenWatcher.track`, or what stands for it."""


def observed(track: Track, function: Callable[P, T], facts: dict[str, Any]) -> Callable[P, T]:
    """Give the function with `track` around it; what it returns stays what it was.

    A coroutine function stays one. A generator, synchronous or not, is a stream.
    """
    from inspect import iscoroutinefunction  # it takes longer than all of ours to import

    if iscoroutinefunction(function):

        @wraps(function)
        async def run_async(*args: P.args, **named: P.kwargs) -> Any:
            return await track(lambda: function(*args, **named), **facts)

        return run_async  # type: ignore[return-value]  # a coroutine function, as it was

    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> T:
        answer: T = track(lambda: function(*args, **named), **facts)
        return answer

    return run


def flushed(flush: Callable[[], bool], function: Callable[P, T]) -> Callable[P, T]:
    """Give the function with a flush after it, whether it returns or raises."""
    from inspect import iscoroutinefunction

    if iscoroutinefunction(function):

        @wraps(function)
        async def run_async(*args: P.args, **named: P.kwargs) -> Any:
            try:
                return await function(*args, **named)
            finally:
                flush()

        return run_async  # type: ignore[return-value]  # a coroutine function, as it was

    @wraps(function)
    def run(*args: P.args, **named: P.kwargs) -> T:
        try:
            return function(*args, **named)
        finally:
            flush()

    return run

"""The function that stands in the place of a provider's: it calls the original, and records.

Whatever goes wrong here, the original is called once and what it gives or raises reaches the app.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tokenwatcher.begun import Call, Recording
from tokenwatcher.wrapping.provider import Asked, Method, take_error

ORIGINAL = "__tokenwatcher_original__"
"""The attribute of a function of ours that holds the one it stands for."""
_COROUTINE_FUNCTION = 0x80 | 0x100  # `inspect` is not imported for two numbers

_inside: ContextVar[bool] = ContextVar("tokenwatcher_inside", default=False)
"""A call is being recorded: what it calls in its turn, through the same library or another, is
part of it."""


def interception(
    method: Method,
    original: Callable[..., Any],
    recording: Callable[[], Recording | None],
    target: Any = None,
) -> Callable[..., Any]:
    """Make the function that stands for `original`.

    With `target` it stands for a method bound to that object, else for a function of a class,
    which gets its object as its first argument. Where `recording` gives None, nothing is recorded.
    """
    if target is None:
        around: Callable[..., Any] = _of_class(method, original, recording)
    else:
        around = _of_object(method, original, recording, target)
    functools.update_wrapper(around, original)
    setattr(around, ORIGINAL, original)
    return around


def _of_object(
    method: Method,
    original: Callable[..., Any],
    recording: Callable[[], Recording | None],
    target: Any,
) -> Callable[..., Any]:
    if is_coroutine_function(original):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            begun = _begin(method, recording, target, args, kwargs)
            return await _finish_async(method, begun, original, args, kwargs)

        return call_async

    def call(*args: Any, **kwargs: Any) -> Any:
        begun = _begin(method, recording, target, args, kwargs)
        return _finish(method, begun, original, args, kwargs)

    return call


def _of_class(
    method: Method, original: Callable[..., Any], recording: Callable[[], Recording | None]
) -> Callable[..., Any]:
    if is_coroutine_function(original):

        async def call_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            begun = _begin(method, recording, self, args, kwargs)
            return await _finish_async(method, begun, original, (self, *args), kwargs)

        return call_async

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(method, recording, self, args, kwargs)
        return _finish(method, begun, original, (self, *args), kwargs)

    return call


def _begin(
    method: Method,
    recording: Callable[[], Recording | None],
    target: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Call, Asked] | None:
    """Begin to record a call; None where it is not to be recorded."""
    if _inside.get():
        return None
    where = recording()
    if where is None:
        return None
    try:
        asked = method.asked(target, args, kwargs, where.settings)
        if asked is None:
            return None
        facts = asked.facts
        if where.provider is not None:
            facts = facts._replace(provider=where.provider)
        return Call(where, facts), asked
    except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
        where.swallow(error)
        return None


def _finish(
    method: Method,
    begun: tuple[Call, Asked] | None,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if begun is None:
        return original(*args, **kwargs)
    call, asked = begun
    before = _inside.set(True)
    try:
        answer = original(*args, **kwargs)
    except BaseException as error:
        take_error(call, error, asked)
        raise
    finally:
        _inside.reset(before)
    return _answered(method, call, answer, asked)


async def _finish_async(
    method: Method,
    begun: tuple[Call, Asked] | None,
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if begun is None:
        return await original(*args, **kwargs)
    call, asked = begun
    before = _inside.set(True)
    try:
        answer = await original(*args, **kwargs)
    except BaseException as error:
        take_error(call, error, asked)
        raise
    finally:
        _inside.reset(before)
    return _answered(method, call, answer, asked)


def _answered(method: Method, call: Call, answer: Any, asked: Asked) -> Any:
    try:
        return method.answered(call, answer, asked)
    except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
        call.swallow(error)
        return answer


def is_coroutine_function(function: Any) -> bool:
    """Tell whether calling it gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE_FUNCTION)

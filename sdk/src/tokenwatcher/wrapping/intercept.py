"""The function that stands in the place of a provider's: it calls the original, and records.

Whatever goes wrong here, the original is called once and what it gives or raises reaches the app.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from tokenwatcher.begun import Call, Recording
from tokenwatcher.wrapping.provider import Asked, Method, take_error

ORIGINAL = "__tokenwatcher_original__"
"""The attribute of a function of ours that holds the one it stands for."""
_COROUTINE_FUNCTION = 0x80 | 0x100  # `inspect` is not imported for two numbers

_inside: ContextVar[bool] = ContextVar("tokenwatcher_inside", default=False)
"""A call is being recorded: what it calls in its turn, through the same library or another, is
part of it."""


class Holder(Protocol):
    """Has where to record calls, which may change."""

    @property
    def recording(self) -> Recording | None:
        """None while nothing is to be recorded."""
        ...


def interception(
    method: Method,
    original: Callable[..., Any],
    holder: Holder,
    target: Any = None,
) -> Callable[..., Any]:
    """Make the function that stands for `original`.

    With `target` it stands for a method bound to that object, else for a function of a class,
    which gets its object as its first argument. While its holder has no recording, nothing is recorded.
    """
    begin, answered = _beginning(method, holder, target), method.answered

    # what follows is written out in each of the two, as every step between costs each call

    def around(*args: Any, **kwargs: Any) -> Any:
        begun = begin(args, kwargs)
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
        try:
            return answered(call, answer, asked)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            call.swallow(error)
            return answer

    async def around_async(*args: Any, **kwargs: Any) -> Any:
        begun = begin(args, kwargs)
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
        try:
            return answered(call, answer, asked)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            call.swallow(error)
            return answer

    ours = around_async if is_coroutine_function(original) else around
    functools.update_wrapper(ours, original)
    setattr(ours, ORIGINAL, original)
    return ours


def _beginning(
    method: Method, holder: Holder, target: Any
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[Call, Asked] | None]:
    """Make the function that begins to record a call, or gives None for one that is not to be."""
    read, inside = method.asked, _inside.get

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, Asked] | None:
        if inside():
            return None
        where = holder.recording
        if where is None:
            return None
        try:
            if target is None:
                asked = read(args[0], args[1:], kwargs, where.settings)
            else:
                asked = read(target, args, kwargs, where.settings)
            if asked is None:
                return None
            facts = asked.facts
            if where.provider is not None:
                facts = facts._replace(provider=where.provider)
            return Call(where, facts), asked
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            where.swallow(error)
            return None

    return begin


def is_coroutine_function(function: Any) -> bool:
    """Tell whether calling it gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE_FUNCTION)

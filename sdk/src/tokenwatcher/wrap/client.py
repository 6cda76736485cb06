"""One client: its methods are replaced on the object itself, so it stays what it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from tokenwatcher.wrap.intercept import interception
from tokenwatcher.wrap.provider import Method, Provider, Recording
from tokenwatcher.wrap.registry import FILES, provider_of

T = TypeVar("T")
_MARK = "_tokenwatcher_recording"


def wrap_client(client: T, recording: Recording) -> T:
    """Record every call made through a client of a provider's library, and give the client back.

    A client wrapped before is recorded by the one that wrapped it last. Raises TypeError for an
    object that is no client of a supported library.
    """
    provider = provider_of(client)
    if provider is None:
        kind = type(client)
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} is no client that can be wrapped; clients of "
            f"these libraries can be: {', '.join(sorted(FILES))}"
        )
    wrapped_before = _MARK in getattr(client, "__dict__", ())
    setattr(client, _MARK, recording)
    if not wrapped_before:
        _patch(client, provider)
    return client


def _patch(client: Any, provider: Provider) -> None:
    def recording() -> Recording:
        found: Recording = getattr(client, _MARK)
        return found

    for method in provider.methods:
        holder = _holder(client, method)
        if holder is not None:
            original = getattr(holder, method.name)
            setattr(holder, method.name, interception(method, original, recording, holder))
    for name in provider.copies:
        original = getattr(client, name, None)
        if original is not None:
            setattr(client, name, _copying(original, recording))


def _holder(client: Any, method: Method) -> Any:
    """Find the object that a method is called on; None where this client has no such method."""
    holder = client
    for name in method.path.split(".") if method.path else ():
        holder = getattr(holder, name, None)
    if any(_is(kind, method) for kind in type(holder).__mro__):
        return holder
    return None


def _is(kind: type, method: Method) -> bool:
    package = method.module.partition(".")[0]
    return kind.__name__ == method.class_name and kind.__module__.partition(".")[0] == package


def _copying(
    original: Callable[..., Any], recording: Callable[[], Recording]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def copy(*args: Any, **kwargs: Any) -> Any:
        copied = original(*args, **kwargs)
        try:
            return wrap_client(copied, recording())
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            recording().swallow(error)
            return copied

    return copy

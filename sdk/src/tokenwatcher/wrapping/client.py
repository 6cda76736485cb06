"""One client: its methods are replaced on the object itself, so it stays what it is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from tokenwatcher.begun import Recording
from tokenwatcher.recorder import Recorder
from tokenwatcher.wrapping.intercept import interception
from tokenwatcher.wrapping.later import Later, is_made
from tokenwatcher.wrapping.provider import Method, Provider
from tokenwatcher.wrapping.registry import FILES, provider_of

T = TypeVar("T")
_MARK = "_tokenwatcher_wrapping"


class Wrapping:
    """Where the calls of a wrapped client are recorded; the client has it as an attribute."""

    __slots__ = ("recording",)

    def __init__(self, recording: Recording) -> None:
        self.recording: Recording | None = recording
        """None while nothing is to be recorded."""


def wrap_client(client: T, recording: Recording) -> T:
    """Record every call made through a client of a provider's library, and give the client back.

    A client wrapped before is recorded by the one that wrapped it last; while that one is disabled
    it is as it was. Raises TypeError for an object that is no client of a supported library.
    """
    provider = provider_of(client)
    if provider is None:
        kind = type(client)
        raise TypeError(
            f"{kind.__module__}.{kind.__qualname__} is no client that can be wrapped; clients of "
            f"these libraries can be: {', '.join(sorted(FILES))}"
        )
    wrapping: Wrapping | None = getattr(client, "__dict__", {}).get(_MARK)
    recording.recorder.wrapped[client] = recording.provider
    if wrapping is not None:
        wrapping.recording = None if recording.settings.disabled else recording
    elif not recording.settings.disabled:
        wrapping = Wrapping(recording)
        setattr(client, _MARK, wrapping)
        _patch(client, provider, wrapping)
    return client


def hand_over(before: Recorder, to: Recording) -> None:
    """Have every client that was recorded by one be recorded by another."""
    for reference in before.wrapped.keyrefs():
        client = reference()
        if client is None:
            continue
        wrapping: Wrapping | None = getattr(client, "__dict__", {}).get(_MARK)
        recording = None if wrapping is None else wrapping.recording
        # a client may have been wrapped by yet another since then
        if recording is None or recording.recorder is before:
            provider = before.wrapped.get(client)
            wrap_client(client, Recording(to.settings, to.recorder, to.base_tags, provider))


def _patch(client: Any, provider: Provider, wrapping: Wrapping) -> None:
    for path, methods in _by_path(provider).items():
        _patch_part(client, path, methods, wrapping)
    for name in provider.copies:
        original = getattr(client, name, None)
        if original is not None:
            setattr(client, name, _copying(original, wrapping))


def _by_path(provider: Provider) -> dict[str, list[Method]]:
    parts: dict[str, list[Method]] = {}
    for method in provider.methods:
        parts.setdefault(method.path, []).append(method)
    return parts


def _patch_part(client: Any, path: str, methods: list[Method], wrapping: Wrapping) -> None:
    """Patch the part of a client that a path leads to, now or when it is made."""

    def patch(part: Any) -> None:
        kinds = {f"{kind.__module__}:{kind.__name__}" for kind in type(part).__mro__}
        # of a class and the one that it overrides, the first that is listed is enough
        for method in {one.name: one for one in reversed(methods) if one.owner in kinds}.values():
            original = getattr(part, method.name, None)
            if original is not None:
                setattr(part, method.name, interception(method, original, wrapping, part))

    above, _, name = path.rpartition(".")
    holder, built = _reach(client, above), methods[0].built
    if built and holder is not None and not is_made(holder, built):
        holder.__dict__[built] = Later(holder, name, built, patch)
    else:
        patch(_reach(client, path))


def _reach(client: Any, path: str) -> Any:
    """Follow a path of attributes; None where this client has no such part."""
    part = client
    for name in path.split(".") if path else ():
        part = getattr(part, name, None)
    return part


def _copying(original: Callable[..., Any], wrapping: Wrapping) -> Callable[..., Any]:
    @functools.wraps(original)
    def copy(*args: Any, **kwargs: Any) -> Any:
        copied = original(*args, **kwargs)
        recording = wrapping.recording
        if recording is None:
            return copied
        try:
            return wrap_client(copied, recording)
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            recording.swallow(error)
            return copied

    return copy

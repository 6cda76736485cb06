"""The client of the whole process, for `import tokenwatcher as tw; tw.init()`.

Used before `init`, it is made of the `TOKENWATCHER_*` variables, as `init()` would make it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tokenwatcher.client import TokenWatcher
from tokenwatcher.decorators import observed
from tokenwatcher.open_call import OpenCall
from tokenwatcher.tally import Stats

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenwatcher.by_hand import ErrorFacts, ManualFacts
    from tokenwatcher.event import BlockFacts, CallFacts
    from tokenwatcher.settings import Options
    from tokenwatcher.transport import Transport


P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


class _Default:
    """Holds the one client. `init` may come late, or again."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: TokenWatcher | None = None
        self._instrumented = False

    def renew(self) -> None:
        """Begin anew in a forked child, where another thread's lock would stay shut for ever."""
        self._lock = threading.RLock()

    def client(self) -> TokenWatcher:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = TokenWatcher()
        return self._client

    def replace(self, client: TokenWatcher) -> None:
        with self._lock:
            before, self._client = self._client, client
        if self._instrumented:
            client.instrument()
        if before is not None:
            _hand_over(before, client)
            before.shutdown()

    def instrument(self) -> None:
        self._instrumented = True
        self.client().instrument()

    def uninstrument(self) -> None:
        self._instrumented = False
        self.client().uninstrument()


def _hand_over(before: TokenWatcher, to: TokenWatcher) -> None:
    """Have clients of providers that were wrapped before `init` be recorded by the new client."""
    recorder = before._recorder  # noqa: SLF001  # both are ours
    if recorder.wrapped:
        from tokenwatcher.wrapping import hand_over

        hand_over(recorder, to._recording())  # noqa: SLF001


_default = _Default()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default.renew)


def init(
    api_key: str | None = None,
    endpoint: str | None = None,
    *,
    transport: Transport | None = None,
    **options: Unpack[Options],
) -> TokenWatcher:
    """Set up the client that the functions of this package use; see `TokenWatcher`.

    Called again, or after a client was wrapped, the client before sends what it has and is
    replaced, for what it has wrapped and for `instrument` too.
    """
    client = TokenWatcher(api_key, endpoint, transport=transport, **options)
    _default.replace(client)
    return client


def current() -> TokenWatcher:
    """The client that the functions of this package use."""
    return _default.client()


def track(call: Callable[[], T], **facts: Unpack[CallFacts]) -> T:
    """Make a call to a provider and record what it used; see `TokenWatcher.track`."""
    return _default.client().track(call, **facts)


def track_stream(call: Callable[[], T], **facts: Unpack[CallFacts]) -> T:
    """Like `track`, for a call whose answer comes in pieces."""
    return _default.client().track_stream(call, **facts)


def track_manual(
    provider: str,
    model: str,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    **facts: Unpack[ManualFacts],
) -> str | None:
    """Record a call whose numbers you have; see `TokenWatcher.track_manual`."""
    return _default.client().track_manual(provider, model, input_tokens, output_tokens, **facts)


def track_error(
    provider: str,
    model: str,
    error: BaseException | str,
    **facts: Unpack[ErrorFacts],
) -> str | None:
    """Record a call that failed; see `TokenWatcher.track_error`."""
    return _default.client().track_error(provider, model, error, **facts)


def observe(**facts: Unpack[CallFacts]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator that records every call of a function; see `TokenWatcher.observe`."""
    return lambda function: observed(track, function, dict(facts))


def call(provider: str, model: str, **facts: Unpack[BlockFacts]) -> OpenCall:
    """A call that the app makes in its own way; see `TokenWatcher.call`."""
    return _default.client().call(provider, model, **facts)


def wrap(client: C, *, provider: str | None = None) -> C:
    """Record every call made through a client of a supported library, and give it back."""
    return _default.client().wrap(client, provider=provider)


def instrument() -> None:
    """Record every call of the supported libraries in this process, without touching code."""
    _default.instrument()


def uninstrument() -> None:
    """Undo `instrument`."""
    _default.uninstrument()


def flush(timeout: float = 10.0) -> bool:
    """Wait until all that was recorded so far is sent or given up; False if time ran out."""
    return _default.client().flush(timeout)


def flush_after(function: Callable[P, T]) -> Callable[P, T]:
    """A decorator for functions after which the process may be frozen, as AWS Lambda does."""
    from tokenwatcher.decorators import flushed

    return flushed(flush, function)


def shutdown(timeout: float = 5.0) -> bool:
    """Send what is queued and record nothing more; False if something was left unsent."""
    return _default.client().shutdown(timeout)


def stats() -> Stats:
    """Tell what became of the events so far."""
    return _default.client().stats()

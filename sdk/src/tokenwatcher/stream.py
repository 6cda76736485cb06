"""Streams: the app gets the provider's pieces one by one, and the call is recorded at the end.

A stream that is left early, closed, forgotten or broken is recorded all the same, with what it
had said by then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol

from tokenwatcher.begun import Call
from tokenwatcher.tracking import Tracking
from tokenwatcher.watch import Watch


class Seen(Protocol):
    """What is told of a stream as it goes on: a `Watch`, or what stands for one."""

    stepping: bool

    def piece(self, chunk: Any) -> None: ...

    def broke(self, error: BaseException) -> None: ...

    def end(self, outcome: str) -> None: ...


_OWN = "_tokenwatcher_"


class Tracked:
    """Stands for the original stream: what is not about iterating goes straight to it.

    A piece of which `hides` says so is seen here alone, and not given to the app.
    """

    def __init__(
        self, stream: Any, watch: Seen, hides: Callable[[Any], bool] | None = None
    ) -> None:
        self._tokenwatcher_stream = stream
        self._tokenwatcher_watch = watch
        self._tokenwatcher_hides = hides

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_OWN):  # a copy that is not yet filled
            raise AttributeError(name)
        return getattr(self._tokenwatcher_stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set it where it takes effect: other libraries replace the iterator within a stream."""
        if name.startswith(_OWN):
            object.__setattr__(self, name, value)
        else:
            setattr(self._tokenwatcher_stream, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._tokenwatcher_stream, name)

    def __copy__(self) -> Any:
        """A copy would read the same pieces of the same answer, which is to be recorded once."""
        return self

    def __repr__(self) -> str:
        return repr(self._tokenwatcher_stream)

    def __del__(self) -> None:
        watch = self.__dict__.get("_tokenwatcher_watch")
        if watch is not None:
            watch.end("client_abort")

    @property  # type: ignore[misc]  # isinstance() then holds as it did for the original
    def __class__(self) -> type:
        return type(self._tokenwatcher_stream)


class TrackedStream(Tracked):
    """A stream of a synchronous client."""

    _tokenwatcher_pieces: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        """Give the pieces in a loop: the same as `__next__` in a third of the time.

        The loop keeps the stream alive, as it does without us; one that is left may be taken up.
        """
        watch, hides = self._tokenwatcher_watch, self._tokenwatcher_hides
        watch.stepping = True
        try:
            for chunk in iter(self._tokenwatcher_stream):
                watch.piece(chunk)
                if hides is None or not hides(chunk):
                    watch.stepping = False
                    yield chunk
                    watch.stepping = True
            watch.end("complete")
        except GeneratorExit:
            raise
        except BaseException as error:
            watch.broke(error)
            raise
        finally:
            watch.stepping = False

    def __next__(self) -> Any:
        if self._tokenwatcher_pieces is None:
            stream = self._tokenwatcher_stream
            self._tokenwatcher_pieces = stream if hasattr(stream, "__next__") else iter(stream)
        watch, hides = self._tokenwatcher_watch, self._tokenwatcher_hides
        while True:
            watch.stepping = True
            try:
                chunk = next(self._tokenwatcher_pieces)
            except StopIteration:
                watch.end("complete")
                raise
            except BaseException as error:
                watch.broke(error)
                raise
            finally:
                watch.stepping = False
            watch.piece(chunk)
            if hides is None or not hides(chunk):
                return chunk

    def __enter__(self) -> TrackedStream:
        if hasattr(self._tokenwatcher_stream, "__enter__"):
            self._tokenwatcher_stream.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        try:
            if hasattr(self._tokenwatcher_stream, "__exit__"):
                return self._tokenwatcher_stream.__exit__(kind, error, traceback)
            return None
        finally:
            self._tokenwatcher_watch.end("client_abort")

    def close(self) -> None:
        try:
            if hasattr(self._tokenwatcher_stream, "close"):
                self._tokenwatcher_stream.close()
        finally:
            self._tokenwatcher_watch.end("client_abort")


class TrackedAsyncStream(Tracked):
    """A stream of an asynchronous client."""

    _tokenwatcher_pieces: AsyncIterator[Any] | None = None

    def __aiter__(self) -> TrackedAsyncStream:
        return self

    async def __anext__(self) -> Any:
        if self._tokenwatcher_pieces is None:
            stream = self._tokenwatcher_stream
            self._tokenwatcher_pieces = (
                stream if hasattr(stream, "__anext__") else stream.__aiter__()
            )
        watch, hides = self._tokenwatcher_watch, self._tokenwatcher_hides
        while True:
            watch.stepping = True
            try:
                chunk = await self._tokenwatcher_pieces.__anext__()
            except StopAsyncIteration:
                watch.end("complete")
                raise
            except BaseException as error:
                watch.broke(error)
                raise
            finally:
                watch.stepping = False
            watch.piece(chunk)
            if hides is None or not hides(chunk):
                return chunk

    async def __aenter__(self) -> TrackedAsyncStream:
        if hasattr(self._tokenwatcher_stream, "__aenter__"):
            await self._tokenwatcher_stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        try:
            if hasattr(self._tokenwatcher_stream, "__aexit__"):
                return await self._tokenwatcher_stream.__aexit__(kind, error, traceback)
            return None
        finally:
            self._tokenwatcher_watch.end("client_abort")

    async def close(self) -> None:
        """Close the stream, as OpenAI's and Anthropic's asynchronous streams have it."""
        try:
            if hasattr(self._tokenwatcher_stream, "close"):
                await self._tokenwatcher_stream.close()
        finally:
            self._tokenwatcher_watch.end("client_abort")

    async def aclose(self) -> None:
        """Close the stream, as asynchronous generators have it."""
        try:
            if hasattr(self._tokenwatcher_stream, "aclose"):
                await self._tokenwatcher_stream.aclose()
        finally:
            self._tokenwatcher_watch.end("client_abort")


def watched(
    call: Call, answer: Any, asked: dict[str, Any] | None = None, *, recorded: bool = False
) -> Any:
    """Record an answer, or see to it that it is recorded when it has come whole.

    `asked` is what was asked for, where it is at hand (see `Watch`). Where what is within the call
    was recorded already, an answer that is here is not recorded again. Gives what the app is to get: the answer itself, or what stands for a stream or an awaitable.
    """
    try:
        if isinstance(answer, Tracked):  # the stream of a wrapped client, recorded already
            return answer
        stream = tracked(answer, lambda: Watch(call, asked=asked))
        if stream is not None:
            return stream
        if isinstance(answer, Awaitable):
            return _awaited(call, answer, asked)
        inner = _inner_stream(answer)
        if inner is not None:
            answer[inner] = TrackedStream(answer[inner], Watch(call, asked=asked))
            return answer
    except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
        call.swallow(error)
        return answer
    if not recorded:
        call.answered(answer)
    return answer


def tracked(
    answer: Any, watch: Callable[[], Seen], hides: Callable[[Any], bool] | None = None
) -> TrackedStream | TrackedAsyncStream | None:
    """Give what stands for a stream; None for an answer that is none."""
    kind = _kind(type(answer))  # type: ignore[arg-type]  # a class is hashable
    return None if kind is None else kind(answer, watch(), hides)


async def _awaited(call: Call, answer: Awaitable[Any], asked: dict[str, Any] | None) -> Any:
    tracking = Tracking(call.facts)
    try:
        with tracking:
            value = await answer
    except BaseException as error:
        if not tracking.recorded:
            call.failed(error)
        raise
    return watched(call, value, asked, recorded=tracking.recorded)


@lru_cache(maxsize=256)
def _kind(answer: type) -> type[TrackedStream | TrackedAsyncStream] | None:
    """Tell what stands for answers of a class, if they come in pieces.

    A file-like body does too, but its pieces are bytes.
    """
    if hasattr(answer, "__next__") and not hasattr(answer, "read"):
        return TrackedStream
    return TrackedAsyncStream if hasattr(answer, "__anext__") else None


def _inner_stream(answer: Any) -> str | None:
    """Find the stream inside a plain answer: botocore puts it under `stream` or `body`."""
    if not isinstance(answer, dict):
        return None
    for name in ("stream", "body"):
        inner = answer.get(name)
        if hasattr(type(inner), "__iter__") and hasattr(inner, "close"):
            return None if hasattr(inner, "read") else name
    return None

"""Streams: the app gets the provider's pieces one by one, and the call is recorded at the end.

A stream that is left early, closed, forgotten or broken is recorded all the same, with what it
had said by then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from types import TracebackType
from typing import Any

from tokenwatcher.call import Call
from tokenwatcher.failure import describe
from tokenwatcher.usage import shape_of_chunk
from tokenwatcher.usage.reading import Reading
from tokenwatcher.usage.shape import Shape, Stream


class Watch:
    """What is seen of one stream. Its methods never raise."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._shape: Shape | None = None
        self._seen = Stream()
        self._first_token_ms: int | None = None
        self._ended = False

    def piece(self, chunk: Any) -> None:
        try:
            if self._shape is None:
                self._shape = shape_of_chunk(chunk)
                if self._shape is None:
                    return
            self._shape.fold(self._seen, chunk)
            if self._first_token_ms is None and self._seen.generating:
                self._first_token_ms = self._call.elapsed_ms()
        except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
            self._call.swallow(error)

    def end(self, outcome: str, error: BaseException | None = None) -> None:
        """Record the call, once: `complete`, `client_abort` or `provider_error`."""
        if self._ended:
            return
        self._ended = True
        try:
            facts, shape = self._call.facts, self._shape
            provider = facts.provider or (shape.provider if shape else "unknown")
            reading = shape.read(self._seen.answer, provider) if shape else Reading()
            self._call.record(
                self._judged(reading, outcome, error),
                provider,
                self._call.elapsed_ms(),
                time_to_first_token_ms=self._first_token_ms,
                streaming=True,
            )
        except Exception as internal:  # noqa: BLE001  # nothing of ours may reach the app
            self._call.swallow(internal)

    def _judged(self, reading: Reading, outcome: str, error: BaseException | None) -> Reading:
        """Counts that were not the last ones are partial; a break is told with its reason."""
        if outcome == "complete":
            return reading
        if reading.quality == "final" and not self._seen.final:
            reading = reading._replace(quality="partial")
        notes = {**(reading.notes or {}), "streamOutcome": outcome}
        failure = describe(error) if error is not None else reading.failure
        return reading._replace(notes=notes, failure=failure)


class _Tracked:
    """Stands for the original stream: what is not about iterating goes straight to it."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        self._tokenwatcher_stream = stream
        self._tokenwatcher_watch = watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenwatcher_stream, name)

    def __repr__(self) -> str:
        return repr(self._tokenwatcher_stream)

    def __del__(self) -> None:
        watch = self.__dict__.get("_tokenwatcher_watch")
        if watch is not None:
            watch.end("client_abort")

    @property  # type: ignore[misc]  # isinstance() then holds as it did for the original
    def __class__(self) -> type:
        return type(self._tokenwatcher_stream)

    def _tokenwatcher_broke(self, error: BaseException) -> None:
        """An exception that is no error of the provider (a cancelled task) is the app's leaving."""
        if isinstance(error, Exception):
            self._tokenwatcher_watch.end("provider_error", error)
        else:
            self._tokenwatcher_watch.end("client_abort")


class TrackedStream(_Tracked):
    """A stream of a synchronous client."""

    _tokenwatcher_pieces: Iterator[Any] | None = None

    def __iter__(self) -> TrackedStream:
        return self

    def __next__(self) -> Any:
        if self._tokenwatcher_pieces is None:
            stream = self._tokenwatcher_stream
            self._tokenwatcher_pieces = stream if hasattr(stream, "__next__") else iter(stream)
        try:
            chunk = next(self._tokenwatcher_pieces)
        except StopIteration:
            self._tokenwatcher_watch.end("complete")
            raise
        except BaseException as error:
            self._tokenwatcher_broke(error)
            raise
        self._tokenwatcher_watch.piece(chunk)
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


class TrackedAsyncStream(_Tracked):
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
        try:
            chunk = await self._tokenwatcher_pieces.__anext__()
        except StopAsyncIteration:
            self._tokenwatcher_watch.end("complete")
            raise
        except BaseException as error:
            self._tokenwatcher_broke(error)
            raise
        self._tokenwatcher_watch.piece(chunk)
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


def watched(call: Call, answer: Any) -> Any:
    """Record an answer, or see to it that it is recorded when it has come whole.

    Gives what the app is to get: the answer itself, or what stands for a stream or an awaitable.
    """
    try:
        if _steps(answer, "__next__") and not hasattr(answer, "read"):
            return TrackedStream(answer, Watch(call))
        if _steps(answer, "__anext__"):
            return TrackedAsyncStream(answer, Watch(call))
        if isinstance(answer, Awaitable):
            return _awaited(call, answer)
        inner = _inner_stream(answer)
        if inner is not None:
            answer[inner] = TrackedStream(answer[inner], Watch(call))
            return answer
    except Exception as error:  # noqa: BLE001  # nothing of ours may reach the app
        call.swallow(error)
        return answer
    call.answered(answer)
    return answer


async def _awaited(call: Call, answer: Awaitable[Any]) -> Any:
    try:
        value = await answer
    except BaseException as error:
        call.failed(error)
        raise
    return watched(call, value)


def _steps(answer: Any, name: str) -> bool:
    """Whether an answer comes in pieces. A file-like body does too, but its pieces are bytes."""
    return hasattr(type(answer), name)


def _inner_stream(answer: Any) -> str | None:
    """Find the stream inside a plain answer: botocore puts it under `stream` or `body`."""
    if not isinstance(answer, dict):
        return None
    for name in ("stream", "body"):
        inner = answer.get(name)
        if hasattr(type(inner), "__iter__") and hasattr(inner, "close"):
            return None if hasattr(inner, "read") else name
    return None

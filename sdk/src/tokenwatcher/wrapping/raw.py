"""Answers that the app reads itself: `with_raw_response`, `with_streaming_response`, plain HTTP.

What the app reads of the body passes through here, whatever it makes of it, so it is recorded
whether it is parsed by the library, line by line or not at all.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tokenwatcher.begun import Call
from tokenwatcher.failure import failure_in
from tokenwatcher.watch import Watch
from tokenwatcher.wrapping.events import ServerSentEvents
from tokenwatcher.wrapping.provider import Asked, take_whole

_LARGEST_BODY = 32 * 1024 * 1024
REQUEST_ID_HEADERS = ("x-request-id", "request-id", "apim-request-id", "x-amzn-requestid")
Hides = Callable[[Any], bool]


def take_response(call: Call, response: Any, asked: Asked, hides: Hides | None = None) -> None:
    """Record an HTTP response of httpx: now where its body is here, else as it is read."""
    if response.is_closed:
        _record(call, asked, response, response.content)
        return
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/event-stream"):
        body: Body = EventBody(watch_of(call, response, asked), hides)
    else:
        body = WholeBody(call, response, asked)
    tap(response, body)


def watch_of(call: Call, response: Any, asked: Asked) -> Watch:
    """Watch a stream that comes as an HTTP response."""
    return Watch(
        call,
        asked=asked.body,
        request_id=request_id(response),
        counts=asked.counts,
        fetched=asked.fetches,
    )


def request_id(response: Any) -> str | None:
    """Give the provider's own id of a request."""
    headers = response.headers
    return next((headers[name] for name in REQUEST_ID_HEADERS if name in headers), None)


def _record(call: Call, asked: Asked, response: Any, body: bytes) -> None:
    for text in body.splitlines() if asked.each is not None else [body]:
        take_whole(call, _parsed(response, text), asked)


def _parsed(response: Any, body: bytes) -> Any:
    """Give the JSON of a body; an empty answer where it is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if isinstance(answer, dict):
        answer["_request_id"] = request_id(response)  # where the library's own objects have it
    return answer


class Body(Protocol):
    """Sees the bytes of a body as they are read, and is told how that ended."""

    reading: bool
    """A piece is being waited for, so closing is the library's own doing."""

    def take(self, piece: bytes) -> bytes:
        """See a piece; gives what the app is to get of it."""
        ...

    def rest(self) -> bytes:
        """Give what was kept back, when the body has come to its end."""
        ...

    def end(self, error: BaseException | None, *, complete: bool) -> None:
        """Record the call, once."""
        ...


class WholeBody:
    """A body that tells what was used only as a whole, such as JSON."""

    def __init__(self, call: Call, response: Any, asked: Asked) -> None:
        self.reading = False
        self._call = call
        self._response = response
        self._asked = asked
        kind = response.headers.get("content-type", "").partition(";")[0]
        self._kept = bytearray() if kind.endswith(("json", "jsonl")) else None
        self._ended = False

    def take(self, piece: bytes) -> bytes:
        if self._kept is not None and len(self._kept) <= _LARGEST_BODY:
            self._kept += piece
        return piece

    def rest(self) -> bytes:
        return b""

    def end(self, error: BaseException | None, *, complete: bool) -> None:
        if self._ended:
            return
        self._ended = True
        if error is None or complete:
            _record(self._call, self._asked, self._response, bytes(self._kept or b""))
        elif not self._asked.fetches:
            self._call.failed(error)


class EventBody:
    """A stream of server-sent events; one of which `hides` says so is not given to the app."""

    def __init__(self, watch: Watch, hides: Hides | None) -> None:
        self.reading = False
        self._watch = watch
        self._hides = hides
        self._events = ServerSentEvents()

    def take(self, piece: bytes) -> bytes:
        shown = bytearray()
        for raw, data in self._events.feed(piece):
            if not self._hidden(data):
                shown += raw
        return piece if self._hides is None else bytes(shown)

    def rest(self) -> bytes:
        return b"" if self._hides is None else self._events.rest()

    def _hidden(self, data: str) -> bool:
        if data.startswith("[DONE]"):
            self._watch.end("complete")
        if not data.startswith("{"):
            return False
        try:
            chunk = json.loads(data)
        except ValueError:
            return False
        failure = failure_in(chunk) if "error" in chunk else None
        if failure is not None:
            self._watch.end("provider_error", failure)
        self._watch.piece(chunk)
        return self._hides is not None and self._hides(chunk)

    def end(self, error: BaseException | None, *, complete: bool) -> None:
        if complete:
            self._watch.end("complete")
        elif error is not None:
            self._watch.broke(error)
        else:
            self._watch.end("client_abort")


def tap(response: Any, body: Body) -> None:
    """Let a body see what is read of a response, by any of its methods."""
    response.aiter_bytes = _aiter_bytes(response.aiter_bytes, body)
    response.aclose = _aclose(response.aclose, body)
    response.iter_bytes = _iter_bytes(response.iter_bytes, body)
    response.close = _close(response.close, body)


@contextmanager
def _reading(body: Body) -> Iterator[None]:
    """Say that the body is being read, and end it where reading fails."""
    body.reading = True
    try:
        yield
    except GeneratorExit:  # the app reads no more of it; closing says what that means
        raise
    except BaseException as error:
        body.end(error, complete=False)
        raise
    finally:
        body.reading = False


def _iter_bytes(original: Callable[..., Iterator[bytes]], body: Body) -> Callable[..., Any]:
    def iter_bytes(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        with _reading(body):
            for piece in original(*args, **kwargs):
                shown = body.take(piece)
                if shown:
                    body.reading = False
                    yield shown
                    body.reading = True
            rest = body.rest()
        body.end(None, complete=True)
        if rest:
            yield rest

    return iter_bytes


def _aiter_bytes(original: Callable[..., AsyncIterator[bytes]], body: Body) -> Callable[..., Any]:
    async def aiter_bytes(*args: Any, **kwargs: Any) -> AsyncIterator[bytes]:
        with _reading(body):
            async for piece in original(*args, **kwargs):
                shown = body.take(piece)
                if shown:
                    body.reading = False
                    yield shown
                    body.reading = True
            rest = body.rest()
        body.end(None, complete=True)
        if rest:
            yield rest

    return aiter_bytes


def _close(original: Callable[[], None], body: Body) -> Callable[[], None]:
    def close() -> None:
        try:
            original()
        finally:
            if not body.reading:
                body.end(None, complete=False)

    return close


def _aclose(original: Callable[[], Any], body: Body) -> Callable[[], Any]:
    async def aclose() -> None:
        try:
            await original()
        finally:
            if not body.reading:
                body.end(None, complete=False)

    return aclose

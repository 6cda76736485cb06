"""Streams: the app sees every piece as it was, and the call is recorded however it ends."""

import asyncio
import copy
import gc
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tokenwatcher.testing import CapturedUsage

START = {
    "type": "message_start",
    "message": {
        "id": "msg_0000000000000000000001",
        "model": "claude-haiku-4-5",
        "usage": {"input_tokens": 17, "output_tokens": 1},
    },
}
TEXT = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Fine."}}
END = {"type": "message_delta", "usage": {"output_tokens": 92}}
PIECES = [START, {"type": "ping"}, TEXT, TEXT, END, {"type": "message_stop"}]


class Original:
    """A stream as the providers' clients have it."""

    def __init__(self, pieces: list[Any] | None = None) -> None:
        self.pieces = iter(PIECES if pieces is None else pieces)
        self.closed = False
        self.response = "the raw response"

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        piece = next(self.pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def __enter__(self) -> "Original":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class AsyncOriginal:
    def __init__(self, pieces: list[Any] | None = None) -> None:
        self.pieces = iter(PIECES if pieces is None else pieces)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            return piece
        raise StopAsyncIteration

    async def __aenter__(self) -> "AsyncOriginal":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        self.closed = True


def test_app_sees_every_piece_as_it_was(captured: CapturedUsage) -> None:
    stream = captured.client.track(Original, provider="anthropic")
    seen = list(stream)
    assert all(one is other for one, other in zip(seen, PIECES, strict=True))
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (17, 92)
    assert (event["usageQuality"], event["streaming"]) == ("final", True)
    assert (event["model"], event["responseId"]) == (
        "claude-haiku-4-5",
        "msg_0000000000000000000001",
    )
    assert "metadata" not in event


def test_stream_stands_for_the_original(captured: CapturedUsage) -> None:
    stream = captured.client.track(Original)
    assert isinstance(stream, Original)
    assert stream.response == "the raw response"
    assert not stream.closed
    with stream as same:
        assert same is stream
        next(stream)
    assert stream.closed
    with pytest.raises(AttributeError):
        _ = stream.nothing


def test_what_another_library_sets_on_a_stream_takes_effect(captured: CapturedUsage) -> None:
    original = Original()
    stream = captured.client.track_stream(lambda: original)
    seen = []

    def also_seen(pieces: Iterator[Any]) -> Iterator[Any]:
        for piece in pieces:
            seen.append(piece)
            yield piece

    stream.pieces = also_seen(stream.pieces)
    assert list(stream) == seen == PIECES
    del stream.closed
    assert not hasattr(original, "closed")
    assert captured.event["outputTokens"] == 92


def test_copy_of_a_stream_that_is_forgotten_does_not_end_it(captured: CapturedUsage) -> None:
    stream = captured.client.track_stream(Original)
    copied = copy.copy(stream)
    assert copied.response == "the raw response"
    del copied
    gc.collect()
    assert list(stream) == PIECES
    assert captured.event["outputTokens"] == 92


def test_time_to_the_first_token_is_that_of_the_first_text(captured: CapturedUsage) -> None:
    def slow() -> Iterator[Any]:
        yield START
        time.sleep(0.05)
        yield TEXT
        time.sleep(0.05)
        yield END

    list(captured.client.track(slow))
    event = captured.event
    assert 45 <= event["timeToFirstTokenMs"] <= event["latencyMs"] - 45


@pytest.mark.parametrize("leave", ["close", "with", "forget"])
def test_stream_left_early_is_partial(captured: CapturedUsage, leave: str) -> None:
    stream = captured.client.track(Original, provider="anthropic")
    next(stream)
    next(stream)
    if leave == "close":
        stream.close()
    elif leave == "with":
        with stream:
            pass
    del stream
    gc.collect()
    event = captured.event
    assert (event["usageQuality"], event["status"]) == ("partial", "success")
    assert (event["inputTokens"], event["outputTokens"]) == (17, 1)
    assert event["metadata"] == {"streamOutcome": "client_abort"}


def test_stream_left_after_its_last_counts_is_final(captured: CapturedUsage) -> None:
    for piece in captured.client.track(Original):
        if piece is END:
            break
    gc.collect()
    assert captured.event["usageQuality"] == "final"


def test_stream_left_before_any_count_is_missing(captured: CapturedUsage) -> None:
    chunk = {"object": "chat.completion.chunk", "id": "c", "model": "gpt-4o", "choices": []}
    stream = captured.client.track(lambda: Original([chunk, chunk]), provider="openai")
    next(stream)
    stream.close()
    event = captured.event
    assert (event["usageQuality"], event["model"]) == ("missing", "gpt-4o")
    assert event["metadata"] == {"streamOutcome": "client_abort"}


def test_stream_left_in_a_loop_is_taken_up_again(captured: CapturedUsage) -> None:
    stream = captured.client.track(Original, provider="anthropic")
    for piece in stream:
        assert piece is START
        break
    assert next(stream) == {"type": "ping"}
    assert list(stream) == PIECES[2:]
    assert list(stream) == []
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (17, 92)
    assert (event["usageQuality"], event.get("metadata")) == ("final", None)


def test_loop_keeps_the_stream_that_nobody_else_holds(captured: CapturedUsage) -> None:
    seen = []
    for piece in captured.client.track(Original, provider="anthropic"):
        gc.collect()
        seen.append(piece)
    assert seen == PIECES
    assert captured.event["usageQuality"] == "final"


def test_broken_stream_is_an_event_and_its_exception_goes_on(captured: CapturedUsage) -> None:
    problem = ConnectionError("cut off")
    stream = captured.client.track(lambda: Original([START, TEXT, problem]))
    with pytest.raises(ConnectionError) as caught:
        list(stream)
    assert caught.value is problem
    event = captured.event
    assert (event["eventType"], event["status"]) == ("usage", "error")
    assert (event["errorType"], event["errorMessage"]) == ("ConnectionError", "cut off")
    assert (event["usageQuality"], event["inputTokens"]) == ("partial", 17)
    assert event["metadata"] == {"streamOutcome": "provider_error"}


def test_stream_is_recorded_once_however_often_it_ends(captured: CapturedUsage) -> None:
    stream = captured.client.track(Original)
    with stream:
        list(stream)
        assert list(stream) == []
    stream.close()
    del stream
    gc.collect()
    assert captured.event["usageQuality"] == "final"


def test_generator_keeps_what_generators_can(captured: CapturedUsage) -> None:
    def generator() -> Iterator[Any]:
        yield from PIECES

    stream: Any = captured.client.track(generator)
    assert next(stream) is START
    assert stream.gi_frame is not None
    stream.close()
    assert list(stream) == []
    assert captured.event["usageQuality"] == "partial"


def test_stream_inside_an_answer_of_botocore_is_seen(captured: CapturedUsage) -> None:
    class EventStream:
        def __iter__(self) -> Iterator[Any]:
            yield {"contentBlockDelta": {"delta": {"text": "Fine."}}}
            yield {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}}

        def close(self) -> None:
            pass

    answer: Any = {"stream": EventStream(), "ResponseMetadata": {}}
    got = captured.client.track(lambda: answer, provider="bedrock", model="amazon.nova-lite-v1:0")
    assert got is answer
    assert len(list(got["stream"])) == 2
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (3, 4)
    assert event["model"] == "amazon.nova-lite-v1:0"


def test_file_like_body_is_left_alone(captured: CapturedUsage) -> None:
    with open(__file__, "rb") as file:  # noqa: PTH123  # any file-like thing
        assert captured.client.track(lambda: file) is file
    assert captured.event["usageQuality"] == "missing"


def test_asynchronous_stream_is_seen_piece_by_piece(captured: CapturedUsage) -> None:
    async def open_stream() -> AsyncOriginal:
        return AsyncOriginal()

    async def app() -> None:
        stream = await captured.client.track(open_stream, provider="anthropic")
        assert isinstance(stream, AsyncOriginal)
        async with stream:
            assert [piece async for piece in stream] == PIECES
        assert stream.closed

    asyncio.run(app())
    assert (captured.event["inputTokens"], captured.event["outputTokens"]) == (17, 92)


@pytest.mark.parametrize("leave", ["close", "with", "forget", "cancel"])
def test_asynchronous_stream_left_early_is_partial(captured: CapturedUsage, leave: str) -> None:
    async def read_one() -> None:
        stream = captured.client.track(AsyncOriginal, provider="anthropic")
        await stream.__anext__()
        if leave == "close":
            await stream.close()
            assert stream.closed
        elif leave == "with":
            async with stream:
                pass
        elif leave == "cancel":
            raise asyncio.CancelledError

    async def app() -> None:
        task = asyncio.ensure_future(read_one())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(app())
    assert captured.event["usageQuality"] == "partial"


def test_cancelled_wait_for_a_piece_is_the_apps_leaving(captured: CapturedUsage) -> None:
    async def never_ending() -> AsyncIterator[Any]:
        yield START
        await asyncio.sleep(10)

    async def app() -> None:
        stream = captured.client.track(never_ending)
        await stream.__anext__()
        task = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(app())
    assert captured.event["status"] == "success"
    assert captured.event["metadata"] == {"streamOutcome": "client_abort"}


def test_broken_asynchronous_stream_is_an_event(captured: CapturedUsage) -> None:
    async def app() -> None:
        stream = captured.client.track(lambda: AsyncOriginal([START, OSError("cut off")]))
        with pytest.raises(OSError, match="cut off"):
            async for _ in stream:
                pass

    asyncio.run(app())
    assert captured.event["errorType"] == "OSError"

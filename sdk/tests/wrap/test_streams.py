"""Streams of wrapped clients: as the library gives them, and recorded once however they end."""

import asyncio
import gc
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tokenwatcher.testing import CapturedUsage

ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Say something."}]}
HEAD = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
}
USAGE = {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20}


def says(text: str, finish: str | None = None) -> dict[str, Any]:
    delta = {"content": text} if text else {}
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


TEXTS = [says("Grüezi "), says("mitenand 👋, "), says("everybody."), says("", "stop")]
COUNTED = [*TEXTS, {**HEAD, "choices": [], "usage": USAGE}]


@pytest.fixture
def client(provider: Any, captured: CapturedUsage) -> Iterator[openai.OpenAI]:
    """A client of OpenAI's own address, by way of a proxy that answers itself."""
    through = openai.DefaultHttpxClient(proxy=provider.url)
    with openai.OpenAI(
        api_key="k", base_url="http://api.openai.com/v1", max_retries=0, http_client=through
    ) as client:
        yield captured.client.wrap(client)


def dicts(chunks: Any) -> list[dict[str, Any]]:
    return [chunk.to_dict() for chunk in chunks]


def test_usage_is_asked_for_and_its_piece_is_hidden(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    assert dicts(client.chat.completions.create(**ASKED, stream=True)) == TEXTS
    assert provider.requests[0]["stream_options"] == {"include_usage": True}
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (12, 8)
    assert (event["usageQuality"], event["streaming"]) == ("final", True)
    assert event["requestId"] == "req_0123456789abcdef0123"
    assert event["timeToFirstTokenMs"] <= event["latencyMs"]


def test_piece_that_the_app_asked_for_is_shown(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    options: Any = {"include_usage": True}
    assert dicts(client.chat.completions.create(**ASKED, stream=True, stream_options=options)) == COUNTED  # fmt: skip
    assert captured.event["outputTokens"] == 8


def test_app_that_does_not_want_usage_is_not_overruled(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(TEXTS)
    options: Any = {"include_usage": False}
    list(client.chat.completions.create(**ASKED, stream=True, stream_options=options))
    assert provider.requests[0]["stream_options"] == options
    assert captured.event["usageQuality"] == "estimated"


def test_other_stream_options_are_kept(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    options: Any = {"include_obfuscation": False}
    list(client.chat.completions.create(**ASKED, stream=True, stream_options=options))
    list(
        client.chat.completions.create(**ASKED, stream=True, extra_body={"stream_options": options})
    )
    both = {"include_obfuscation": False, "include_usage": True}
    assert [asked["stream_options"] for asked in provider.requests] == [both, both]
    assert options == {"include_obfuscation": False}
    assert len(captured.events) == 2


@pytest.mark.parametrize(
    ("setting", "address", "asked"),
    [
        ("known", "http://api.openai.com/v1", True),
        ("known", "http://made-up.openai.azure.com/openai/v1", True),
        ("known", "http://api.mistral.ai/v1", False),
        ("known", "http://10.0.0.7:8000/v1", False),
        ("always", "http://10.0.0.7:8000/v1", True),
        ("never", "http://api.openai.com/v1", False),
    ],
)
def test_usage_is_asked_for_only_where_that_is_known_to_be_taken(
    provider: Any, setting: str, address: str, asked: bool
) -> None:
    from tokenwatcher.testing import captured_usage

    provider.streams(TEXTS)
    through = openai.DefaultHttpxClient(proxy=provider.url)
    with (
        captured_usage(include_usage=setting) as usage,
        openai.OpenAI(api_key="k", base_url=address, http_client=through) as plain,
    ):
        list(usage.client.wrap(plain).chat.completions.create(**ASKED, stream=True))
    assert ("stream_options" in provider.requests[0]) == asked


def test_old_version_of_azure_is_not_asked(provider: Any, captured: CapturedUsage) -> None:
    provider.streams(TEXTS)
    through = openai.DefaultHttpxClient(proxy=provider.url)
    for version in ("2024-02-01", "2024-10-21"):
        with openai.AzureOpenAI(
            api_key="k", azure_endpoint="http://made-up.openai.azure.com", api_version=version,
            http_client=openai.DefaultHttpxClient(proxy=provider.url),
        ) as plain:  # fmt: skip
            list(captured.client.wrap(plain).chat.completions.create(**ASKED, stream=True))
    through.close()
    assert ["stream_options" in asked for asked in provider.requests] == [False, True]


def test_stream_helper_is_recorded_and_works(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    with client.chat.completions.stream(**ASKED) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        completion = stream.get_final_completion()
    assert (
        "".join(texts) == completion.choices[0].message.content == "Grüezi mitenand 👋, everybody."
    )
    assert captured.event["outputTokens"] == 8


def test_stream_helper_left_early_is_recorded_at_once(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED, piece=50)
    with client.chat.completions.stream(**ASKED) as stream:
        next(iter(stream))
    assert captured.event["metadata"] == {"streamOutcome": "client_abort"}


@pytest.mark.parametrize("way", ["parsed", "lines", "bytes"])
def test_stream_that_the_app_reads_itself_is_recorded_and_hidden_from(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage, way: str
) -> None:
    provider.streams(COUNTED, piece=1)
    if way == "parsed":
        raw = client.chat.completions.with_raw_response.create(**ASKED, stream=True)
        assert dicts(raw.parse()) == TEXTS
    else:
        resource = client.chat.completions.with_streaming_response
        with resource.create(**ASKED, stream=True) as response:
            if way == "lines":
                lines = [line for line in response.iter_lines() if line]
            else:
                lines = b"".join(response.iter_bytes()).decode().split("\n\n")[:-1]
        assert len(lines) == len(TEXTS) + 1
        assert lines[-1] == "data: [DONE]"
    event = captured.event
    assert (event["inputTokens"], event["outputTokens"]) == (12, 8)
    assert "metadata" not in event


@pytest.mark.parametrize("piece", [1, 3])
def test_pieces_of_any_size_change_nothing(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage, piece: int
) -> None:
    provider.streams(COUNTED, piece=piece)
    assert dicts(client.chat.completions.create(**ASKED, stream=True)) == TEXTS
    assert captured.event["outputTokens"] == 8


@pytest.mark.parametrize("leave", ["close", "with", "forget", "response"])
def test_stream_left_early_is_estimated(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage, leave: str
) -> None:
    provider.streams(COUNTED, piece=20)
    stream = client.chat.completions.create(**ASKED, stream=True)
    assert isinstance(stream, openai.Stream)
    next(stream)
    next(stream)
    if leave == "close":
        stream.close()
    elif leave == "with":
        with stream:
            pass
    elif leave == "response":
        stream.response.close()
    else:
        stream.response.close = lambda: None  # type: ignore[method-assign]  # forgotten, not closed
    assert stream.response is not None
    del stream
    gc.collect()
    event = captured.event
    assert (event["usageQuality"], event["status"]) == ("estimated", "success")
    assert (event["inputTokens"], event["outputTokens"]) == (5, 6)
    assert event["metadata"] == {"streamOutcome": "client_abort"}


def test_all_that_was_generated_is_estimated_where_a_stream_is_left(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "eight by"},
        {"content": "four"},
        {"content": "five!"},
        {"content": "four", "reasoning": "and five."},
        {"content": "Grüße"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"name": "look", "arguments": "{}"}}]},
        {"function_call": {"name": "see", "arguments": "{}"}},
        {"content": "not read"},
    ]
    provider.streams(
        [{**HEAD, "choices": [{"index": 0, "delta": one, "finish_reason": None}]} for one in deltas]
    )
    stream = client.chat.completions.create(**ASKED, stream=True)
    for _ in deltas[:-1]:
        next(stream)
    stream.close()
    event = captured.event
    assert event["usageQuality"] == "estimated"
    assert event["outputTokens"] == -(-(8 + 4 + 5 + 4 + 9 + 7 + 2 + 6 + 5) // 4)


def test_usage_that_the_app_changes_as_it_reads_is_counted_as_it_came(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    options: Any = {"include_usage": True}
    for chunk in client.chat.completions.create(**ASKED, stream=True, stream_options=options):
        if chunk.usage is not None:
            chunk.usage.completion_tokens = 1000
            chunk.usage = None
    assert (captured.event["inputTokens"], captured.event["outputTokens"]) == (12, 8)


def test_finished_stream_lets_go_of_its_response(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED)
    stream = client.chat.completions.create(**ASKED, stream=True)
    list(stream)
    assert not {"close", "aclose"} & vars(stream.response).keys()
    assert captured.event["usageQuality"] == "final"


def test_stream_cut_in_the_middle_is_recorded_and_its_exception_goes_on(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(COUNTED, piece=10, cut_at=500)
    with pytest.raises(openai.APIConnectionError) as caught:
        list(client.chat.completions.create(**ASKED, stream=True))
    event = captured.event
    assert (event["eventType"], event["errorType"]) == ("usage", type(caught.value).__name__)
    assert event["usageQuality"] == "estimated"
    assert event["metadata"]["streamOutcome"] == "provider_error"


def test_error_inside_a_stream_is_told(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams([TEXTS[0], {"error": {"message": "overloaded", "code": "busy"}}])
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**ASKED, stream=True))
    provider.replies.clear()
    provider.streams([TEXTS[0], {"error": {"message": "overloaded", "code": "busy"}}])
    with pytest.raises(openai.APIError):
        list(client.chat.completions.with_raw_response.create(**ASKED, stream=True).parse())
    for event in captured.events:
        assert (event["status"], event["errorMessage"]) == ("error", "overloaded")


async def _to_its_end(stream: openai.AsyncStream[Any]) -> None:
    async for _chunk in stream:
        pass


@pytest.mark.parametrize("leave", ["break", "cancel", "close", "forget", "read"])
def test_asynchronous_stream_is_recorded_once_however_it_ends(
    provider: Any, captured: CapturedUsage, leave: str
) -> None:
    provider.streams(COUNTED, piece=10, pause_at=400 if leave == "cancel" else None)

    async def read(client: openai.AsyncOpenAI) -> None:
        stream = await client.chat.completions.create(**ASKED, stream=True)
        assert isinstance(stream, openai.AsyncStream)
        if leave == "read":
            assert [chunk.to_dict() async for chunk in stream] == TEXTS
        elif leave == "close":
            await anext(stream)
            await stream.close()
        elif leave == "cancel":
            await anext(stream)
            await asyncio.wait_for(_to_its_end(stream), 0.05)
        else:
            async for _chunk in stream:
                break
            if leave == "break":
                await stream.response.aclose()

    async def main() -> None:
        through = openai.DefaultAsyncHttpxClient(proxy=provider.url)
        async with openai.AsyncOpenAI(
            api_key="k", base_url="http://api.openai.com/v1", http_client=through
        ) as plain:
            try:
                await read(captured.client.wrap(plain))
            except (TimeoutError, asyncio.TimeoutError):  # the same from Python 3.11 on
                assert leave == "cancel"

    asyncio.run(main())
    gc.collect()
    event = captured.event
    assert event["usageQuality"] == ("final" if leave == "read" else "estimated")


@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0), reason="Python 3.13.0 crashes so without the SDK too"
)
def test_stream_still_open_when_the_process_ends_is_recorded(provider: Any, server: Any) -> None:
    provider.streams(COUNTED)
    code = f"""
        import openai, tokenwatcher
        tw = tokenwatcher.TokenWatcher(api_key="k", endpoint={server.url!r})
        client = tw.wrap(openai.OpenAI(api_key="k", base_url={provider.url!r}))
        stream = client.chat.completions.create(model="gpt-4o", messages=[], stream=True)
        next(stream)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)],
                          capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
    assert done.stderr == ""
    [event] = server.events
    assert event["metadata"] == {"streamOutcome": "client_abort"}

"""The ways to call that the libraries have beside `create`: parsers, stream helpers, older calls."""

import asyncio
from typing import Any

import anthropic
import openai
import pydantic
import pytest

from sdk.tests.wrap.conftest import counts
from tokenwatcher.testing import CapturedUsage

TEXT = '{"city": "Zürich"}'
COUNTS = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 2},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 11,
}
PART = {"type": "output_text", "text": TEXT, "annotations": []}
MESSAGE = {
    "type": "message",
    "id": "msg_0123456789abcdef",
    "role": "assistant",
    "status": "completed",
    "content": [PART],
}
EMBEDDED = {"object": "embedding", "index": 0, "embedding": [0.5]}
BEGUN: dict[str, Any] = {
    "id": "resp_0123456789abcdef",
    "object": "response",
    "created_at": 1,
    "status": "in_progress",
    "model": "gpt-4o-2024-08-06",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
DONE: dict[str, Any] = {**BEGUN, "status": "completed", "output": [MESSAGE], "usage": COUNTS}
PLACE = {"item_id": MESSAGE["id"], "output_index": 0, "content_index": 0}
PIECES: list[dict[str, Any]] = [
    {"type": "response.created", "response": BEGUN},
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**MESSAGE, "status": "in_progress", "content": []},
    },
    {"type": "response.content_part.added", **PLACE, "part": {**PART, "text": ""}},
    {"type": "response.output_text.delta", **PLACE, "delta": TEXT, "logprobs": []},
    {"type": "response.output_text.done", **PLACE, "text": TEXT, "logprobs": []},
    {"type": "response.content_part.done", **PLACE, "part": PART},
    {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
    {"type": "response.completed", "response": DONE},
]
NUMBERED = [{**piece, "sequence_number": number} for number, piece in enumerate(PIECES)]


class City(pydantic.BaseModel):
    city: str


def test_parsed_response_is_recorded(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(DONE)
    answer = client.responses.parse(model="gpt-4o", input="Where?", text_format=City)
    assert answer.output_parsed == City(city="Zürich")
    event = captured.event
    assert counts(event) == (5, 2, 6)
    assert (event["responseId"], event["reasoningTokens"]) == (DONE["id"], 1)


def test_helper_of_response_streams_is_recorded_and_works(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(NUMBERED, done=False, piece=7)
    with client.responses.stream(model="gpt-4o", input="Where?", text_format=City) as stream:
        kinds = [event.type for event in stream]
        assert stream.get_final_response().output_parsed == City(city="Zürich")
    assert kinds == [piece["type"] for piece in PIECES]
    event = captured.event
    assert (counts(event), event["usageQuality"], event["streaming"]) == ((5, 2, 6), "final", True)


def test_helper_of_response_streams_left_early_is_estimated(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.streams(NUMBERED, done=False, piece=50)
    with client.responses.stream(model="gpt-4o", input="Where?") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    told = captured.event
    assert (told["usageQuality"], told["metadata"]) == (
        "estimated",
        {"streamOutcome": "client_abort"},
    )
    assert told["outputTokens"] > 0


def test_asynchronous_helpers_are_recorded(provider: Any, captured: CapturedUsage) -> None:
    provider.says(DONE)
    provider.streams(NUMBERED, done=False, piece=3)

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
            client = captured.client.wrap(plain, provider="openai")
            await client.responses.parse(model="gpt-4o", input="Where?", text_format=City)
            async with client.responses.stream(model="gpt-4o", input="Where?") as stream:
                assert (await stream.get_final_response()).output_text == TEXT

    asyncio.run(main())
    assert [counts(event) for event in captured.events] == [(5, 2, 6), (5, 2, 6)]


def test_completions_of_the_first_kind_are_recorded(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    answer = {
        "id": "cmpl-0123456789abcdef",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"index": 0, "text": "Grüezi.", "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    provider.says(answer)
    provider.streams([{**answer, "usage": None}, {**answer, "choices": []}])
    asked: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}
    assert client.completions.create(**asked).choices[0].text == "Grüezi."
    assert len(list(client.completions.create(**asked, stream=True))) == 2
    assert [counts(event) for event in captured.events] == [(3, None, 4), (3, None, 4)]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_translation_is_recorded_though_it_tells_no_counts(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says({"text": "Hello"})
    translated = client.audio.translations.create(model="whisper-1", file=("a.wav", b"RIFF"))
    assert translated.text == "Hello"
    event = captured.event
    assert (event["model"], event["usageQuality"]) == ("whisper-1", "missing")


def test_foundry_is_named(provider: Any, captured: CapturedUsage) -> None:
    provider.says(
        {
            "id": "msg_0123456789abcdef0123",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-4-5-20251001",
            "content": [{"type": "text", "text": "Grüezi."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 7, "output_tokens": 5},
        }
    )
    with anthropic.AnthropicFoundry(api_key="made-up", base_url=provider.url) as plain:
        answer = captured.client.wrap(plain).messages.create(
            model="claude-haiku-4-5",
            max_tokens=100,
            messages=[{"role": "user", "content": "Hello"}],
        )
    assert answer.usage.output_tokens == 5
    assert (captured.event["provider"], counts(captured.event)) == ("azure", (17, 7, 5))


def test_tracked_function_that_uses_a_wrapped_client_counts_once_with_its_tags(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    """An answer without an id, as that of embeddings, nobody could tell from another."""
    answer = {"object": "list", "model": "embed-3", "data": [EMBEDDED]}
    provider.says({**answer, "usage": {"prompt_tokens": 7, "total_tokens": 7}})
    asynchronous = captured.client.wrap(
        openai.AsyncOpenAI(api_key="sk-made-up", base_url=provider.url), provider="openai"
    )

    @captured.client.observe(tags={"feature": "search", "session_id": "a tag"}, user_id="u1")
    def number() -> int:
        return len(client.embeddings.create(model="embed-3", input="x").data)

    @captured.client.observe(tags={"feature": "search", "session_id": "a tag"}, user_id="u1")
    async def number_async() -> int:
        async with asynchronous:
            return len((await asynchronous.embeddings.create(model="embed-3", input="x")).data)

    assert number() == asyncio.run(number_async()) == 1
    for event in captured.events:
        assert (event["model"], event["inputTokens"], event["userId"]) == ("embed-3", 7, "u1")
        assert event["tags"] == {"feature": "search", "session_id": "a tag"}
    assert len(captured.events) == 2


def test_prompt_of_a_tracked_call_goes_with_what_a_wrapped_client_records_in_it_alone(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    provider.says({"object": "list", "model": "embed-3", "data": [EMBEDDED], "usage": usage})

    def number() -> int:
        return len(client.embeddings.create(model="embed-3", input="x").data)

    captured.client.track(number, store_prompt="x")
    number()
    assert [event.get("prompt") for event in captured.events] == ["x", None]


def test_failure_of_a_wrapped_client_in_a_tracked_call_counts_once(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says({"error": {"message": "No."}}, status=401)
    with pytest.raises(openai.AuthenticationError):
        captured.client.track(lambda: client.embeddings.create(model="embed-3", input="x"))
    assert captured.event["errorType"] == "AuthenticationError"

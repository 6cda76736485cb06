"""OpenAI's own library, wrapped: every way to call it is recorded, and nothing it gives changes."""

import asyncio
from typing import Any

import openai
import pydantic
import pytest

from tokenwatcher.testing import CapturedUsage

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"city": "Zürich"}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
}
RESPONSE: dict[str, Any] = {
    "id": "resp_0123456789abcdef",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": [],
    "usage": {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 11,
    },
}
ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


class City(pydantic.BaseModel):
    city: str


def test_wrapped_client_is_the_client_itself(
    client: openai.OpenAI, captured: CapturedUsage
) -> None:
    assert type(client) is openai.OpenAI
    assert captured.client.wrap(client) is client


def test_answer_is_recorded(provider: Any, client: openai.OpenAI, captured: CapturedUsage) -> None:
    provider.says(ANSWER)
    answer = client.chat.completions.create(**ASKED)
    assert answer.to_dict() == ANSWER
    event = captured.event
    assert (event["provider"], event["model"]) == ("openai", "gpt-4o-2024-08-06")
    assert (event["requestedModel"], event["responseId"]) == ("gpt-4o", "chatcmpl-0123456789abcdef")
    assert (event["inputTokens"], event["outputTokens"]) == (5, 6)
    assert event["requestId"] == "req_0123456789abcdef0123"


def test_parsed_answer_is_recorded(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    answer = client.chat.completions.parse(**ASKED, response_format=City)
    assert answer.choices[0].message.parsed == City(city="Zürich")
    assert captured.event["outputTokens"] == 6


def test_answer_that_can_not_be_parsed_is_paid_for(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says({**ANSWER, "choices": [{**ANSWER["choices"][0], "finish_reason": "length"}]})
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**ASKED, response_format=City)
    event = captured.event
    assert (event["eventType"], event["status"]) == ("usage", "error")
    assert (event["errorType"], event["outputTokens"]) == ("LengthFinishReasonError", 6)


@pytest.mark.parametrize("way", ["raw", "streaming", "streaming unparsed", "streaming unread"])
def test_answer_that_the_app_reads_itself_is_recorded(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage, way: str
) -> None:
    provider.says(ANSWER)
    if way == "raw":
        raw = client.chat.completions.with_raw_response.create(**ASKED)
        assert raw.parse().to_dict() == ANSWER
        assert raw.headers["x-request-id"] == "req_0123456789abcdef0123"
    else:
        with client.chat.completions.with_streaming_response.create(**ASKED) as response:
            if way == "streaming":
                assert response.parse().to_dict() == ANSWER
            elif way == "streaming unparsed":
                assert b"Z" in b"".join(response.iter_bytes(7))
    event = captured.event
    assert (event["provider"], event.get("requestedModel", event["model"])) == ("openai", "gpt-4o")
    assert event.get("outputTokens") == (None if way == "streaming unread" else 6)


def test_every_paid_resource_is_recorded(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(RESPONSE)
    provider.says(
        {
            "object": "list",
            "data": [],
            "model": "e",
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        }
    )
    provider.says(
        {
            "created": 1,
            "data": [],
            "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12},
        }
    )
    provider.says(
        {
            "text": "Hello",
            "usage": {"type": "tokens", "input_tokens": 7, "output_tokens": 2, "total_tokens": 9},
        }
    )
    provider.says(
        {
            "answers": [],
            "model": "gpt-6-luna",
            "usage": {"input_tokens": 8, "output_tokens": 1, "total_tokens": 9},
        }
    )
    provider.says({"data": [], "object": "list"})
    client.responses.create(model="gpt-4o", input="Hello")
    client.embeddings.create(model="e", input="Hello", encoding_format="float")
    client.images.generate(model="gpt-image-1", prompt="A cat")
    client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", b"RIFF"))
    client.decisions.create(model="gpt-6-luna", input="Hello", questions=[])
    client.models.list()
    counts = [(event.get("inputTokens"), event.get("outputTokens")) for event in captured.events]
    assert counts == [(5, 6), (4, 0), (3, 9), (7, 2), (8, 1)]
    assert [event["model"] for event in captured.events][3] == "gpt-4o-transcribe"


def test_speech_tells_its_characters(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says("binary", content_type="audio/mpeg")
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Grüezi")
    assert speech.content == b'"binary"'
    event = captured.event
    assert (event["usageQuality"], event["metadata"]) == ("missing", {"inputCharacters": 6})


def test_asynchronous_client_is_recorded(provider: Any, captured: CapturedUsage) -> None:
    provider.says(ANSWER)

    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=provider.url) as plain:
            client = captured.client.wrap(plain)
            assert (await client.chat.completions.create(**ASKED)).id == ANSWER["id"]
            raw = await client.chat.completions.with_raw_response.create(**ASKED)
            assert raw.parse().id == ANSWER["id"]
            streamed = client.chat.completions.with_streaming_response.create(**ASKED)
            async with streamed as response:
                assert (await response.parse()).id == ANSWER["id"]

    asyncio.run(main())
    assert [event["outputTokens"] for event in captured.events] == [6, 6, 6]


def test_client_made_from_a_wrapped_one_is_wrapped(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    client.with_options(timeout=3).copy(max_retries=1).chat.completions.create(**ASKED)
    assert captured.event["provider"] == "openai"


def test_client_of_an_unknown_kind_is_a_clear_error(captured: CapturedUsage) -> None:
    with pytest.raises(TypeError, match=r"builtins.dict .* can be: .*anthropic.*openai"):
        captured.client.wrap({})


def test_retries_count_once(provider: Any, captured: CapturedUsage) -> None:
    provider.says({"error": {"message": "busy"}}, status=500)
    provider.says(ANSWER)
    with openai.OpenAI(api_key="k", base_url=provider.url, max_retries=1) as plain:
        captured.client.wrap(plain).chat.completions.create(**ASKED)
    assert len(provider.requests) == 2
    assert captured.event["status"] == "success"


def test_error_is_an_event_and_goes_on_unchanged(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    message = "Incorrect API key provided: sk-made-up-0123456789."
    provider.says({"error": {"message": message, "code": "invalid_api_key"}}, status=401)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(**ASKED)
    assert message in str(caught.value)
    assert str(caught.traceback[-1].path).endswith("_base_client.py")
    event = captured.event
    assert (event["eventType"], event["errorType"]) == ("error", "AuthenticationError")
    assert event["errorMessage"] == "Incorrect API key provided: ***"
    assert event["metadata"] == {"httpStatus": 401, "errorCode": "invalid_api_key"}


def test_what_runs_in_the_background_counts_when_it_is_fetched(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    queued = {**RESPONSE, "background": True, "status": "queued", "usage": None}
    provider.says(queued)
    provider.says({**queued, "status": "in_progress"})
    provider.says({**RESPONSE, "background": True})
    provider.says(RESPONSE)  # fetched again, but paid for when it was made
    made = client.responses.create(model="gpt-4o", input="Hello", background=True)
    for _ in range(3):
        client.responses.retrieve(made.id)
    event = captured.event
    assert (event["inputTokens"], event["responseId"]) == (5, "resp_0123456789abcdef")
    assert "latencyMs" not in event


def test_batch_counts_when_it_has_ended(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    batch = {"id": "batch_0123456789abcdef", "object": "batch", "model": "gpt-4o"}
    provider.says({**batch, "status": "in_progress"})
    provider.says({**batch, "status": "completed", "usage": RESPONSE["usage"]})
    for _ in range(2):
        client.batches.retrieve("batch_0123456789abcdef")
    event = captured.event
    assert (event["model"], event["serviceTier"]) == ("gpt-4o", "batch")
    assert (event["inputTokens"], event["cacheReadTokens"]) == (5, 2)


def test_azure_is_named_and_asked_for_its_deployment(
    provider: Any, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    azure = openai.AzureOpenAI(api_key="k", azure_endpoint=provider.url, api_version="2024-10-21")
    with azure as plain:
        captured.client.wrap(plain).chat.completions.create(**{**ASKED, "model": "my-gpt"})
    assert "/deployments/my-gpt/" in provider.paths[0]
    event = captured.event
    assert (event["provider"], event["requestedModel"]) == ("azure", "my-gpt")


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("http://api.openai.com/v1", "openai"),
        ("http://eu.api.openai.com/v1", "openai"),
        ("http://api.groq.com/openai/v1", "groq"),
        ("http://api.deepseek.com", "deepseek"),
        ("http://api.x.ai/v1", "xai"),
        ("http://openrouter.ai/api/v1", "openrouter"),
        ("http://api.together.xyz/v1", "together"),
        ("http://api.mistral.ai/v1", "mistral"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://made-up.openai.azure.com/openai/v1", "azure"),
        ("http://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1", "bedrock"),
        ("http://10.0.0.7:8000/v1", "10.0.0.7"),
        ("http://notopenai.com/v1", "notopenai.com"),
        ("http://api.openai.com.evil.example/v1", "api.openai.com.evil.example"),
    ],
)
def test_provider_is_named_by_the_address(
    provider: Any, captured: CapturedUsage, address: str, named: str
) -> None:
    provider.says(ANSWER)
    through = openai.DefaultHttpxClient(proxy=provider.url)
    with openai.OpenAI(api_key="k", base_url=address, http_client=through) as plain:
        captured.client.wrap(plain).chat.completions.create(**ASKED)
    assert captured.event["provider"] == named


def test_stream_of_what_runs_in_the_background_counts_once_it_has_ended(
    provider: Any, client: openai.OpenAI, captured: CapturedUsage
) -> None:
    running = {**RESPONSE, "background": True, "status": "in_progress", "usage": None}
    begun = {"type": "response.created", "sequence_number": 0, "response": running}
    text = {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hello"}
    text |= {"item_id": "msg", "output_index": 0, "content_index": 0, "logprobs": []}
    done = {**running, "status": "completed", "usage": RESPONSE["usage"]}
    ended = {"type": "response.completed", "sequence_number": 2, "response": done}
    provider.streams([begun, text, text])  # it goes on, unread
    provider.streams([begun, text, ended])
    provider.streams([begun, {**ended, "response": RESPONSE}])  # not in the background
    with client.responses.create(
        model="gpt-4o", input="Hello", background=True, stream=True
    ) as stream:
        next(iter(stream))
    for _ in range(2):
        assert list(client.responses.retrieve(RESPONSE["id"], stream=True))
    event = captured.event
    assert (event["inputTokens"], event["usageQuality"]) == (5, "final")
    assert "latencyMs" not in event

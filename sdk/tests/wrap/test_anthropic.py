"""Anthropic's own library, wrapped: messages, streams, batches, Bedrock and Vertex."""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from sdk.tests.wrap.conftest import counts
from tokenwatcher.testing import CapturedUsage

ANSWER: dict[str, Any] = {
    "id": "msg_0123456789abcdef0123",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "Grüezi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "output_tokens": 5,
        "service_tier": "standard",
    },
}
ASKED: Any = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}


def said(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


PIECES: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            **ANSWER,
            "content": [],
            "stop_reason": None,
            "usage": {**ANSWER["usage"], "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    said("Grüezi "),
    said("mitenand 👋."),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 9},
    },
    {"type": "message_stop"},
]


@pytest.fixture
def client(provider: Any, captured: CapturedUsage) -> Iterator[anthropic.Anthropic]:
    """A client of Anthropic's own address, by way of a proxy that answers itself."""
    through = anthropic.DefaultHttpxClient(proxy=provider.url)
    with anthropic.Anthropic(
        api_key="k", base_url="http://api.anthropic.com", max_retries=0, http_client=through
    ) as client:
        yield captured.client.wrap(client)


def test_service_tier_is_what_was_asked_for_and_what_was_served(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    untold = {**ANSWER, "usage": {"input_tokens": 10, "output_tokens": 5}}
    for answer in (ANSWER, ANSWER, untold, untold):
        provider.says(answer)
    client.messages.create(**ASKED)
    client.messages.create(**ASKED, service_tier="auto")
    client.messages.create(**ASKED)
    client.messages.create(**ASKED, service_tier="standard_only")
    tiers = [(e.get("requestedServiceTier"), e.get("serviceTier")) for e in captured.events]
    assert tiers == [
        (None, "standard"),
        ("auto", "standard"),
        (None, None),
        ("standard_only", "standard_only"),
    ]


def test_message_is_recorded(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    assert type(client) is anthropic.Anthropic
    assert client.messages.create(**ASKED).to_dict() == ANSWER
    client.beta.messages.create(**ASKED)
    client.messages.with_raw_response.create(**ASKED).parse()
    with client.messages.with_streaming_response.create(**ASKED) as response:
        response.parse()
    for event in captured.events:
        assert (event["provider"], event["model"]) == ("anthropic", "claude-haiku-4-5-20251001")
        assert counts(event) == (17, 7, 5)
        assert event["requestId"] == "req_0123456789abcdef0123"
    assert len(captured.events) == 4


def test_counting_tokens_costs_nothing(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    provider.says({"input_tokens": 8})
    client.messages.count_tokens(model="claude-haiku-4-5", messages=ASKED["messages"])
    assert captured.events == []


@pytest.mark.parametrize("piece", [0, 1])
def test_stream_is_recorded(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage, piece: int
) -> None:
    provider.streams(PIECES, done=False, piece=piece)
    stream = client.messages.create(**ASKED, stream=True)
    assert isinstance(stream, anthropic.Stream)
    assert [event.type for event in stream] == [one["type"] for one in PIECES if one["type"] != "ping"]  # fmt: skip
    assert stream.response.status_code == 200
    assert counts(captured.event) == (17, 7, 9)
    assert captured.event["usageQuality"] == "final"


@pytest.mark.parametrize("use", ["text_stream", "events", "final", "until_done"])
def test_stream_helper_is_recorded_and_works(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage, use: str
) -> None:
    provider.streams(PIECES, done=False, piece=3)
    with client.messages.stream(**ASKED) as stream:
        if use == "text_stream":
            assert "".join(stream.text_stream) == "Grüezi mitenand 👋."
        elif use == "events":
            assert [event.type for event in stream][-1] == "message_stop"
        elif use == "until_done":
            stream.until_done()
        message = stream.get_final_message()
        assert stream.request_id == "req_0123456789abcdef0123"
    assert message.usage.output_tokens == 9
    assert counts(captured.event) == (17, 7, 9)


def test_stream_left_early_keeps_what_is_known(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    provider.streams(PIECES, done=False, piece=30)
    with client.messages.stream(**ASKED) as stream:
        for text in stream.text_stream:
            assert text == "Grüezi "
            break
    event = captured.event
    assert counts(event) == (17, 7, 2)
    assert (event["usageQuality"], event["metadata"]) == (
        "estimated",
        {"streamOutcome": "client_abort"},
    )


def test_error_inside_a_stream_is_told(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    problem = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    provider.streams([*PIECES[:4], problem], done=False)
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(client.messages.create(**ASKED, stream=True))
    event = captured.event
    assert (event["status"], event["errorType"]) == ("error", type(caught.value).__name__)
    assert (event["errorMessage"], event["inputTokens"]) == ("Overloaded", 17)


def test_asynchronous_client_is_recorded(provider: Any, captured: CapturedUsage) -> None:
    provider.says(ANSWER)
    provider.streams(PIECES, done=False, piece=1)

    async def main() -> None:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=provider.url) as plain:
            client = captured.client.wrap(plain, provider="anthropic")
            await client.messages.create(**ASKED)
            stream = await client.messages.create(**ASKED, stream=True)
            assert [event.type async for event in stream][-1] == "message_stop"
            async with client.messages.stream(**ASKED) as helper:
                assert "".join([text async for text in helper.text_stream]) == "Grüezi mitenand 👋."
            async with client.with_options(timeout=9).messages.stream(**ASKED) as helper:
                async for _text in helper.text_stream:
                    break

    asyncio.run(main())
    assert [event["outputTokens"] for event in captured.events] == [5, 9, 9, 2]
    assert {event["provider"] for event in captured.events} == {"anthropic"}


def test_every_message_of_a_batch_counts(
    provider: Any, client: anthropic.Anthropic, captured: CapturedUsage
) -> None:
    batched = {**ANSWER, "usage": {**ANSWER["usage"], "service_tier": "batch"}}
    results: list[Any] = [
        {"custom_id": "a", "result": {"type": "succeeded", "message": batched}},
        {"custom_id": "b", "result": {"type": "errored", "error": {"type": "error"}}},
        {"custom_id": "c", "result": {"type": "succeeded", "message": {**batched, "id": "msg_2"}}},
    ]
    batch = {
        "id": "msgbatch_1",
        "type": "message_batch",
        "processing_status": "ended",
        "results_url": "http://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
    }
    provider.says(batch)
    lines = "".join(json.dumps(result) + "\n" for result in results)
    provider.replies.append(provider.replies[0]._replace(body=lines.encode(), content_type="application/x-jsonl"))  # fmt: skip
    assert [one.custom_id for one in client.messages.batches.results("msgbatch_1")] == list("abc")
    first, second = captured.events
    assert (first["serviceTier"], counts(first)) == ("batch", (17, 7, 5))
    assert second["responseId"] == "msg_2"
    assert "latencyMs" not in first


def test_vertex_is_named(provider: Any, captured: CapturedUsage) -> None:
    provider.says(ANSWER)
    provider.streams(PIECES, done=False)
    with anthropic.AnthropicVertex(
        region="europe-west1", project_id="made-up", access_token="t", base_url=provider.url
    ) as plain:
        client = captured.client.wrap(plain)
        client.messages.create(**ASKED)
        with client.messages.stream(**ASKED) as stream:
            stream.until_done()
    assert "/publishers/anthropic/models/claude-haiku-4-5:rawPredict" in provider.paths[0]
    for event in captured.events:
        assert (event["provider"], event["requestedModel"]) == ("google", "claude-haiku-4-5")
    assert [counts(event)[2] for event in captured.events] == [5, 9]


def test_bedrock_is_named_and_charged_by_the_model_asked_for(
    provider: Any, captured: CapturedUsage
) -> None:
    provider.says(ANSWER)
    provider.replies.append(
        provider.replies[0]._replace(
            body=b"".join(_frame(piece) for piece in PIECES),
            content_type="application/vnd.amazon.eventstream",
            piece=7,
        )
    )
    model = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
    with anthropic.AnthropicBedrock(
        aws_access_key="made-up", aws_secret_key="made-up", aws_region="eu-west-1",
        base_url=provider.url,
    ) as plain:  # fmt: skip
        client = captured.client.wrap(plain)
        client.messages.create(**{**ASKED, "model": model})
        list(client.messages.create(**{**ASKED, "model": model}, stream=True))
    for event in captured.events:
        assert (event["provider"], event["model"]) == ("bedrock", model)
    assert [counts(event) for event in captured.events] == [(17, 7, 5), (17, 7, 9)]


def _frame(piece: dict[str, Any]) -> bytes:
    """One event as AWS frames it."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(piece).encode()).decode()}).encode()
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in [
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        ]
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return start + struct.pack(">I", zlib.crc32(start))

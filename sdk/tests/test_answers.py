"""Every shape of answer is read for what it says: our own examples, straight through the shapes."""

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tokenwatcher.testing import CapturedUsage
from tokenwatcher.usage import SHAPES, shape_of, shape_of_chunk
from tokenwatcher.usage.reading import Tokens
from tokenwatcher.usage.shape import Stream

ANSWERS = {
    path.stem: json.loads(path.read_bytes())
    for path in sorted(Path(__file__).with_name("answers").glob("*.json"))
}
PLAIN = {
    name: answer
    for name, answer in ANSWERS.items()
    if not answer["streaming"] and not answer["expected"].get("error") and name != "unknown-shape"
}

BY_REPLAY = {"cohere-chat", "cohere-rerank", "bedrock-invoke-headers"}
"""Cohere is judged by what it bills, and headers come with the transport."""
WITHOUT_AN_END = {"compatible-chat-stream", "xai-native-stream"}
"""No piece of these says that it is the last: only the end of the stream does."""
STREAMED = {name: answer for name, answer in ANSWERS.items() if answer["streaming"]}


def pieces_of(answer: dict[str, Any]) -> Iterator[Any]:
    """The pieces of a stream as dicts: server-sent events, lines of JSON, or frames of AWS."""
    if answer["transport"] == "aws-eventstream":
        yield from frames(base64.b64decode(answer["response"]["body_base64"]))
        return
    for line in answer["response"]["body"].splitlines():
        said = line.removeprefix("data:").strip()
        if said.startswith("{"):
            yield json.loads(said)


def frames(content: bytes) -> Iterator[dict[str, Any]]:
    while content:
        length, heads = struct.unpack(">II", content[:8])
        payload = json.loads(content[12 + heads : length - 4])
        if "bytes" in payload:
            yield {"chunk": {"bytes": base64.b64decode(payload["bytes"])}}
        else:
            kind = "metadata" if "usage" in payload else "contentBlockDelta"
            yield {kind: payload}
        content = content[length:]


@pytest.mark.parametrize("name", STREAMED)
def test_streamed_counts_are_those_the_pieces_say(name: str) -> None:
    stream, shape = Stream(), None
    for piece in pieces_of(STREAMED[name]):
        shape = shape or shape_of_chunk(piece)
        assert shape is not None
        shape.fold(stream, piece)
    assert shape is not None
    reading = shape.read(stream.answer, STREAMED[name]["provider"])
    usage = STREAMED[name]["expected"]["usage"]
    assert stream.generating
    told_its_end = usage is not None and name not in WITHOUT_AN_END
    assert stream.final == told_its_end
    if usage is None:
        assert (reading.tokens, reading.quality) == (Tokens(), "missing")
        return
    whole = usage.get("billed_input_tokens", usage["input_tokens"])
    assert (reading.tokens.input_tokens, reading.quality) == (whole, "final")
    assert reading.tokens.output_tokens == usage.get("billed_output_tokens", usage["output_tokens"])
    assert reading.tokens.cache_read_tokens == usage["cache_read_tokens"]
    assert reading.tokens.reasoning_tokens == usage["reasoning_tokens"]


def model_of(answer: dict[str, Any]) -> Any:
    """The same answer as an object whose items are attributes."""

    class Thing:
        def __init__(self, items: dict[str, Any]) -> None:
            self.__dict__.update(items)

    return json.loads(json.dumps(answer), object_hook=Thing)


@pytest.mark.parametrize("name", PLAIN)
def test_dict_and_object_are_read_alike(name: str) -> None:
    answer = PLAIN[name]["response"]["body"]
    headers = PLAIN[name]["response"]["headers"]
    if name == "bedrock-invoke-headers":  # botocore gives dicts alone
        answer = {**answer, "ResponseMetadata": {"HTTPHeaders": headers}}
        assert shape_of(answer) is not None
        return
    as_object = model_of(answer)
    shape = shape_of(answer)
    assert shape is not None
    assert shape_of(as_object) is shape
    assert shape.read(answer, "") == shape.read(as_object, "")


@pytest.mark.parametrize("name", sorted(PLAIN.keys() - BY_REPLAY - {"openai-whisper"}))
def test_counts_are_those_the_answer_says(name: str) -> None:
    usage = PLAIN[name]["expected"]["usage"]
    answer = PLAIN[name]["response"]["body"]
    shape = shape_of(answer)
    assert shape is not None
    expected = {name.replace("tool_use_prompt", "tool_prompt"): n for name, n in usage.items()}
    assert shape.read(answer, PLAIN[name]["provider"]).tokens == Tokens(**expected)


def test_every_shape_has_an_answer_of_its_own() -> None:
    met = set()
    for name, one in ANSWERS.items():
        body = one["response"]["body"]
        if name in PLAIN and isinstance(body, dict):
            shape = shape_of(body)
            met.add(shape.name if shape else None)
        elif isinstance(body, str):
            pieces = [line.removeprefix("data:") for line in body.splitlines()]
            for piece in pieces:
                if piece.strip().startswith("{"):
                    shape = shape_of_chunk(json.loads(piece))
                    met.add(shape.name if shape else None)
    assert met >= {shape.name for shape in SHAPES}


def test_tokens_read_from_the_cache_are_part_of_the_prompt() -> None:
    shape = shape_of({"type": "message", "usage": {"input_tokens": 1}})
    assert shape is not None
    usage = {"input_tokens": 5, "cache_read_input_tokens": 128955,
             "cache_creation_input_tokens": 1253, "output_tokens": 7}  # fmt: skip
    tokens = shape.read({"type": "message", "usage": usage}, "anthropic").tokens
    assert tokens.input_tokens == 130213
    assert (tokens.cache_read_tokens, tokens.cache_write_tokens) == (128955, 1253)


def test_split_of_cache_writes_that_does_not_add_up_is_not_told() -> None:
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 100, "output_tokens": 7,
             "cache_creation": {"ephemeral_5m_input_tokens": 0,
                                "ephemeral_1h_input_tokens": 0}}  # fmt: skip
    shape = shape_of({"type": "message"})
    assert shape is not None
    tokens = shape.read({"type": "message", "usage": usage}, "anthropic").tokens
    assert tokens.cache_write_tokens == 100
    assert tokens.cache_write_5m_tokens is tokens.cache_write_1h_tokens is None


def test_declined_round_of_another_model_is_not_charged() -> None:
    """A fallback: the first model declined, and the one that served is the answer's model."""
    rounds = [
        {"type": "message", "model": "claude-a", "input_tokens": 100, "output_tokens": 0},
        {"type": "fallback_message", "model": "claude-b", "input_tokens": 90, "output_tokens": 9},
    ]
    answer = {
        "type": "message",
        "model": "claude-b",
        "usage": {"input_tokens": 90, "output_tokens": 9, "iterations": rounds},
    }
    shape = shape_of(answer)
    assert shape is not None
    reading = shape.read(answer, "anthropic")
    assert (reading.tokens.input_tokens, reading.tokens.output_tokens) == (90, 9)
    assert reading.also == ()


@pytest.mark.parametrize(
    ("usage", "provider", "output", "reasoning", "quality"),
    [
        ((10, 20, 30, 5), "openai", 20, 5, "final"),  # within
        ((10, 20, 35, 5), "xai", 25, 5, "final"),  # beside, as the total shows
        ((10, 20, None, 5), "xai", 25, 5, "final"),  # beside, as xAI is known to mean it
        ((10, 20, None, 5), "openai", 20, 5, "final"),
        ((10, 20, 37, None), "google", 27, 7, "inconsistent"),  # thoughts in the total alone
        ((10, 20, 37, None), "openai", 20, None, "inconsistent"),  # nobody knows what is missing
        ((10, 20, 25, 5), "openai", 20, 5, "inconsistent"),
        ((10, 20, 30, 21), "openai", 20, 21, "inconsistent"),  # more reasoning than output
    ],
)
def test_reasoning_is_within_or_beside_as_the_total_shows(
    usage: tuple[int | None, ...], provider: str, output: int, reasoning: int, quality: str
) -> None:
    prompt, completion, total, thought = usage
    answer = {
        "object": "chat.completion",
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "completion_tokens_details": {"reasoning_tokens": thought},
        },
    }
    shape = shape_of(answer)
    assert shape is not None
    reading = shape.read(answer, provider)
    assert (reading.tokens.output_tokens, reading.tokens.reasoning_tokens) == (output, reasoning)
    assert reading.quality == quality


def test_null_missing_and_zero_are_three_things() -> None:
    def cached(details: Any) -> int | None:
        answer = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1, **details}}
        shape = shape_of(answer)
        assert shape is not None
        return shape.read(answer, "openai").tokens.cache_read_tokens

    assert cached({}) is None
    assert cached({"prompt_tokens_details": None}) is None
    assert cached({"prompt_tokens_details": {"cached_tokens": None}}) is None
    assert cached({"prompt_tokens_details": {"cached_tokens": 0}}) == 0


def test_step_of_a_run_is_not_counted_beside_its_run() -> None:
    stream = Stream()
    pieces = [
        {"object": "thread.run.step", "usage": {"prompt_tokens": 154, "completion_tokens": 62}},
        {"event": "thread.run.completed", "data": {"object": "thread.run", "id": "run_1",
         "usage": {"prompt_tokens": 381, "completion_tokens": 88, "total_tokens": 469}}},
    ]  # fmt: skip
    shape = shape_of_chunk(pieces[1])
    assert shape is not None
    for piece in pieces:
        shape.fold(stream, piece)
    tokens = shape.read(stream.answer, "openai").tokens
    assert (tokens.input_tokens, tokens.output_tokens) == (381, 88)


def test_second_model_of_an_answer_is_named_by_what_the_answer_says(
    captured: CapturedUsage,
) -> None:
    """On Bedrock too, where the answer's own model is named by what was asked for."""
    answer = ANSWERS["anthropic-iterations"]["response"]["body"]
    captured.client.track(lambda: answer, provider="bedrock", model="us.anthropic.claude-sonnet-5")
    first, second = captured.events
    assert (first["model"], first["inputTokens"]) == ("us.anthropic.claude-sonnet-5", 55425)
    assert (second["model"], second["inputTokens"]) == ("claude-opus-4-8", 2543)
    assert first["responseId"] != second["responseId"]

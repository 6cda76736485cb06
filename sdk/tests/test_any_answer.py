"""Laws that hold for any answer whatever: reading never raises, and never contradicts itself."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher.event import Event, Facts, encode
from tokenwatcher.usage import SHAPES
from tokenwatcher.usage.reading import Reading
from tokenwatcher.usage.shape import Stream

NAMES = (
    "usage", "prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
    "completion_tokens_details", "cached_tokens", "reasoning_tokens", "audio_tokens",
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
    "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "iterations",
    "usageMetadata", "promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount",
    "toolUsePromptTokenCount", "totalTokenCount", "cachedContentTokenCount", "inputTokens",
    "outputTokens", "totalTokens", "cacheReadInputTokens", "billed_units", "tokens",
    "eval_count", "prompt_eval_count", "object", "type", "model", "id", "choices", "delta",
    "response", "message", "metadata", "event", "data", "chunk", "results", "output", "cost",
    "cost_in_usd_ticks", "is_byok", "server_tool_use", "service_tier", "candidates", "bytes",
)  # fmt: skip
MARKS = (
    "chat.completion", "response", "message", "message_start", "message_delta", "thread.run",
    "response.completed", "content_block_delta", "tokens", "message-end",
)  # fmt: skip

scalars = (
    st.none() | st.booleans() | st.integers(-5, 60) | st.floats() | st.text(max_size=5)
    | st.sampled_from(MARKS) | st.binary(max_size=4)
    | st.sampled_from([b'{"usage', b'{"usage": 7}', b'[{"type": "message_start"}]']) | st.integers(2**60, 2**70)
)  # fmt: skip
answers = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8)
    ),
    max_leaves=25,
)


class Hostile:
    """An object whose every attribute raises."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Hostile
        raise RuntimeError(name)


def parts_fit(reading: Reading) -> bool:
    tokens = reading.tokens
    whole_in, whole_out = tokens.input_tokens or 0, tokens.output_tokens or 0
    parts_in = (
        tokens.cache_read_tokens, tokens.cache_write_tokens, tokens.tool_prompt_tokens,
        tokens.audio_input_tokens, tokens.image_input_tokens,
    )  # fmt: skip
    parts_out = (tokens.reasoning_tokens, tokens.audio_output_tokens)
    return all((part or 0) <= whole_in for part in parts_in) and all(
        (part or 0) <= whole_out for part in parts_out
    )


def check(reading: Reading) -> None:
    for count in reading.tokens:
        assert count is None or (type(count) is int and count >= 0)
    if reading.quality == "final":
        assert parts_fit(reading)
        assert None not in (reading.tokens.input_tokens, reading.tokens.output_tokens)
    for other in reading.also:
        check(other)


@settings(max_examples=400, deadline=None)
@given(answers)
def test_any_answer_is_read_without_an_exception(answer: Any) -> None:
    for shape in SHAPES:
        shape.recognises(answer)
        check(shape.read(answer, "openai"))


@settings(max_examples=300, deadline=None)
@given(st.lists(answers, max_size=5))
def test_any_stream_is_read_without_an_exception(chunks: list[Any]) -> None:
    for shape in SHAPES:
        stream = Stream()
        for chunk in chunks:
            if shape.recognises_chunk(chunk):
                shape.fold(stream, chunk)
        check(shape.read(stream.answer, "openai"))


def test_object_that_raises_is_no_answer() -> None:
    for shape in SHAPES:
        assert not shape.recognises(Hostile())
        assert not shape.recognises_chunk(Hostile())
        check(shape.read(Hostile(), "openai"))


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.text(max_size=80), scalars, max_size=30),
    st.text(max_size=300),
    st.text(max_size=2000),
)
def test_any_text_is_cut_to_what_the_wire_takes(
    tags: dict[str, Any], model: str, user: str
) -> None:
    event = Event(
        id="0" * 8, at_ns=0, facts=Facts(user_id=user), provider=model, model=model, tags=tags
    )
    assert b"\\u0000" not in encode(event)
    assert encode(event).decode()

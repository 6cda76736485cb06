"""Wholes and parts of the wire become disjoint buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.events.tokens import (
    INPUT_BUCKETS,
    OUTPUT_BUCKETS,
    Tokens,
    TokensDisagree,
)
from tokenwatcher_server.ingest.buckets import to_buckets
from tokenwatcher_server.ingest.wire import WireEvent


def wire(**counts: object) -> WireEvent:
    return WireEvent(provider="openai", model="gpt-4o", **counts)  # type: ignore[arg-type]


def total(tokens: Tokens, buckets: tuple[str, ...]) -> int:
    return sum(getattr(tokens, bucket) or 0 for bucket in buckets)


def test_cached_and_reasoning_tokens_are_taken_out_of_their_wholes() -> None:
    event = wire(input_tokens=100, output_tokens=50, cache_read_tokens=60, reasoning_tokens=20)
    assert to_buckets(event) == Tokens(
        input_text=40, cache_read=60, output_text=30, output_reasoning=20
    )


def test_cache_writes_are_split_by_their_lifetime() -> None:
    event = wire(
        input_tokens=100,
        output_tokens=1,
        cache_write_tokens=70,
        cache_write_5m_tokens=50,
        cache_write_1h_tokens=20,
    )
    buckets = to_buckets(event)
    assert (buckets.cache_write_5m, buckets.cache_write_1h, buckets.cache_write_other) == (
        50,
        20,
        None,
    )
    assert buckets.input_text == 30


def test_cache_writes_of_unknown_lifetime_are_kept_as_such() -> None:
    buckets = to_buckets(wire(input_tokens=100, output_tokens=1, cache_write_tokens=70))
    assert buckets.cache_write_other == 70
    assert buckets.cache_write_5m is None


def test_what_was_not_said_stays_unknown_and_zero_stays_zero() -> None:
    buckets = to_buckets(wire(input_tokens=5, output_tokens=0, cache_read_tokens=0))
    assert buckets.cache_read == 0
    assert buckets.cache_write_5m is None
    assert buckets.output_reasoning is None
    assert to_buckets(wire(usage_quality="missing")) == Tokens()


def test_cached_audio_counts_once_as_cached_audio() -> None:
    event = wire(input_tokens=100, output_tokens=1, cache_read_tokens=80, audio_input_tokens=60)
    buckets = to_buckets(event)
    assert (buckets.cache_read, buckets.cache_read_audio, buckets.input_audio) == (40, 40, 20)
    assert total(buckets, INPUT_BUCKETS) == 100


@pytest.mark.parametrize(
    ("counts", "part"),
    [
        ({"cache_read_tokens": 11}, "cacheReadTokens"),
        ({"cache_write_tokens": 11}, "cacheWriteTokens"),
        ({"tool_prompt_tokens": 11}, "toolPromptTokens"),
        ({"cache_write_tokens": 2, "cache_write_5m_tokens": 3}, "cacheWrite5mTokens"),
        ({"reasoning_tokens": 11}, "reasoningTokens"),
        ({"audio_output_tokens": 11}, "audioOutputTokens"),
    ],
)
def test_a_part_larger_than_its_whole_is_named(counts: dict[str, int], part: str) -> None:
    with pytest.raises(TokensDisagree) as refusal:
        to_buckets(wire(input_tokens=10, output_tokens=10, **counts))
    assert refusal.value.part == part
    to_buckets(wire(input_tokens=10, output_tokens=10, usage_quality="inconsistent", **counts))


count = st.integers(0, 50_000_000)


PARTS = (
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "tool_prompt_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
)


@given(count, count, st.dictionaries(st.sampled_from(PARTS), count))
def test_buckets_always_add_up_to_the_wholes(
    whole_in: int, whole_out: int, parts: dict[str, int]
) -> None:
    event = wire(input_tokens=whole_in, output_tokens=whole_out, **parts)
    try:
        buckets = to_buckets(event)
    except TokensDisagree:
        return
    assert total(buckets, INPUT_BUCKETS) == whole_in
    assert total(buckets, OUTPUT_BUCKETS) == whole_out
    assert all(
        value is None or value >= 0 for value in (getattr(buckets, n) for n in INPUT_BUCKETS)
    )

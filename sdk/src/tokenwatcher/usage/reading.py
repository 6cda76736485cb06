"""What a provider's answer says about one call, in the meaning that the wire gives to counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Quality = Literal["final", "partial", "inconsistent", "estimated", "missing"]


class Tokens(NamedTuple):
    """Token counts of one call: two wholes, and parts that lie within them.

    `input_tokens` holds every prompt token, cached ones included, and `output_tokens` every
    generated one, reasoning included. None means that the provider did not say, never zero.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    tool_prompt_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_input_tokens: int | None = None


class Failure(NamedTuple):
    """Why a call failed, without anything that was asked or answered."""

    type: str
    message: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


class Reading(NamedTuple):
    """All that an answer tells about its call."""

    tokens: Tokens = Tokens()
    quality: Quality = "missing"
    model: str | None = None
    """The model that answered, as the answer names it."""
    response_id: str | None = None
    request_id: str | None = None
    service_tier: str | None = None
    server_tool_calls: Mapping[str, int] | None = None
    reported_cost_usd: str | None = None
    """What the provider says it charged: an exact decimal number."""
    notes: Mapping[str, int | str] | None = None
    """Numbers that the wire has no field for; they travel as metadata."""
    failure: Failure | None = None
    also: tuple[Reading, ...] = ()
    """What other models did inside the same answer, each to be charged at its own price."""


def quality_of(tokens: Tokens, *, agrees: bool = True) -> Quality:
    """Judge counts: `missing` without both wholes, `inconsistent` where they can't all be true.

    `agrees` False says that a total which the provider states differs from the sum of its parts.
    """
    if tokens.input_tokens is None or tokens.output_tokens is None:
        return "missing"
    return "final" if agrees and _parts_fit(tokens) else "inconsistent"


def _parts_fit(tokens: Tokens) -> bool:
    cached = (tokens.cache_read_tokens or 0) + (tokens.cache_write_tokens or 0)
    lifetimes = (tokens.cache_write_5m_tokens or 0) + (tokens.cache_write_1h_tokens or 0)
    media = (tokens.audio_input_tokens or 0) + (tokens.image_input_tokens or 0)
    asked = cached + media + (tokens.tool_prompt_tokens or 0)
    # a cached picture or recording is counted both as cached and by its kind
    twice = min(tokens.cache_read_tokens or 0, media)
    generated = (tokens.reasoning_tokens or 0) + (tokens.audio_output_tokens or 0)
    return (
        asked - twice <= (tokens.input_tokens or 0)
        and generated <= (tokens.output_tokens or 0)
        and (tokens.cache_write_tokens is None or lifetimes <= tokens.cache_write_tokens)
    )

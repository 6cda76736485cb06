"""Google's Interactions API: the same counts as Gemini's under other names."""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import count, items, peek, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream


def read(answer: Any, _provider: str) -> Reading:
    answer = peek(answer, "interaction") or answer  # a stream's events carry the answer
    usage = peek(answer, "usage")
    tokens, agrees = _tokens(usage)
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=agrees),
        model=text(answer, "model"),
        response_id=text(answer, "id"),
        service_tier=text(answer, "service_tier"),
    )


def _tokens(usage: Any) -> tuple[Tokens, bool]:
    prompt, answered = count(usage, "total_input_tokens"), count(usage, "total_output_tokens")
    thoughts, tools = count(usage, "total_thought_tokens"), count(usage, "total_tool_use_tokens")
    audio, image = _kinds(usage)
    tokens = Tokens(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=None if answered is None else answered + (thoughts or 0),
        cache_read_tokens=count(usage, "total_cached_tokens"),
        reasoning_tokens=thoughts,
        tool_prompt_tokens=tools,
        audio_input_tokens=audio,
        image_input_tokens=image,
    )
    total = count(usage, "total_tokens")
    whole = (tokens.input_tokens or 0) + (tokens.output_tokens or 0)
    return tokens, total is None or total == whole


def _kinds(usage: Any) -> tuple[int | None, int | None]:
    found: dict[str, int] = {}
    for detail in items(usage, "input_tokens_by_modality"):
        kind = (text(detail, "modality") or "").lower()
        found[kind] = found.get(kind, 0) + (count(detail, "tokens") or 0)
    image = found.get("image"), found.get("document")
    pictures = None if image == (None, None) else sum(number or 0 for number in image)
    return found.get("audio"), pictures


def recognises(answer: Any) -> bool:
    return count(peek(answer, "usage"), "total_input_tokens") is not None


def recognises_chunk(chunk: Any) -> bool:
    kind = text(chunk, "event_type") or ""
    return kind.startswith(("interaction.", "step.", "content."))


def fold(stream: Stream, chunk: Any) -> None:
    if peek(chunk, "delta") is not None:
        stream.generating = True
    interaction = peek(chunk, "interaction")
    if interaction is not None:
        stream.answer["interaction"] = interaction
        stream.final = peek(interaction, "usage") is not None


SHAPE = Shape("gemini-interactions", "google", recognises, read, recognises_chunk, fold)

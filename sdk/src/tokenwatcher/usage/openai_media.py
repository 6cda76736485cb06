"""OpenAI's transcriptions, speech and images: tokens by kind, or seconds."""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import as_count, count, peek, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep

_LAST_EVENTS = {
    "transcript.text.done",
    "speech.audio.done",
    "image_generation.completed",
    "image_edit.completed",
}
_EVENT_PREFIXES = ("transcript.", "speech.audio.", "image_generation.", "image_edit.")


def read(answer: Any, _provider: str) -> Reading:
    usage = peek(answer, "usage")
    asked = peek(usage, "input_token_details", "input_tokens_details")
    tokens = Tokens(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        cache_read_tokens=count(asked, "cached_tokens"),
        audio_input_tokens=count(asked, "audio_tokens"),
        image_input_tokens=count(asked, "image_tokens"),
    )
    total = count(usage, "total_tokens")
    said = (tokens.input_tokens or 0) + (tokens.output_tokens or 0)
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=total is None or total == said),
        model=text(answer, "model"),
        request_id=text(answer, "_request_id"),
        notes=_notes(usage),
    )


def _notes(usage: Any) -> dict[str, int | str] | None:
    generated = peek(usage, "output_token_details", "output_tokens_details")
    seconds = peek(usage, "seconds", "duration")
    notes: dict[str, int | str] = {}
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        whole = as_count(seconds)
        notes["audioSeconds"] = str(seconds) if whole is None else whole
    if images := count(generated, "image_tokens"):
        notes["imageOutputTokens"] = images
    return notes or None


def recognises(answer: Any) -> bool:
    usage = peek(answer, "usage")
    return text(usage, "type") in {"tokens", "duration"} or (
        count(usage, "input_tokens") is not None and peek(answer, "data", "created") is not None
    )


def recognises_chunk(chunk: Any) -> bool:
    return (text(chunk, "type") or "").startswith(_EVENT_PREFIXES)


def fold(stream: Stream, chunk: Any) -> None:
    stream.generating = True
    if text(chunk, "type") in _LAST_EVENTS:
        keep(stream, chunk, "usage")
        stream.final = True


SHAPE = Shape("openai-media", "openai", recognises, read, recognises_chunk, fold)

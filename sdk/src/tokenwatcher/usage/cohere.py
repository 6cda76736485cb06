"""Cohere's chat (v1 and v2), embed and rerank.

`billed_units` is what is charged and therefore what is counted; `tokens` is what the model saw,
with the template around the prompt, and travels as a note. `cached_tokens` is a part of the
latter: it can exceed what is billed, so it is no part of the count.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import count, peek, size, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep


def read(answer: Any, _provider: str) -> Reading:
    usage = peek(answer, "usage", "meta")
    billed = peek(usage, "billed_units")
    prompt = count(billed, "input_tokens")
    generated = count(billed, "output_tokens")
    if generated is None and prompt is not None:
        generated = 0  # an embedding
    tokens = Tokens(input_tokens=prompt, output_tokens=generated)
    ranked = count(billed, "search_units")
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens),
        response_id=text(answer, "generation_id", "id", "response_id"),
        server_tool_calls={"rerank_search": ranked} if ranked else None,
        notes=_notes(usage),
    )


def _notes(usage: Any) -> dict[str, int | str] | None:
    seen = peek(usage, "tokens")
    notes: dict[str, int | str] = {}
    for name, number in (
        ("seenInputTokens", count(seen, "input_tokens")),
        ("seenOutputTokens", count(seen, "output_tokens")),
        ("seenCachedTokens", count(usage, "cached_tokens")),
    ):
        if number is not None:
            notes[name] = number
    return notes or None


def recognises(answer: Any) -> bool:
    return peek(peek(answer, "usage", "meta"), "billed_units") is not None


def recognises_chunk(chunk: Any) -> bool:
    kind = text(chunk, "type", "event_type") or ""
    return kind in {"message-start", "stream-start", "text-generation", "content-start"}


def fold(stream: Stream, chunk: Any) -> None:
    kind = text(chunk, "type", "event_type")
    if kind in {"content-delta", "tool-call-delta", "tool-plan-delta", "text-generation"}:
        stream.generating = True
        message = peek(peek(chunk, "delta"), "message")
        call = peek(peek(message, "tool_calls"), "function")
        stream.generated += size(
            peek(chunk, "text"), peek(peek(message, "content"), "text", "thinking"),
            peek(message, "tool_plan"), peek(call, "name"), peek(call, "arguments"),
        )  # fmt: skip
    elif kind in {"message-start", "stream-start"}:
        keep(stream, chunk, "id", "generation_id")
    elif kind == "message-end":
        keep(stream, peek(chunk, "delta"), "usage")
        stream.final = True
    elif kind == "stream-end":
        keep(stream, peek(chunk, "response"), "generation_id", "meta")
        stream.final = True


SHAPE = Shape("cohere", "cohere", recognises, read, recognises_chunk, fold)

"""Ollama's own API; its OpenAI-compatible one is of OpenAI's shape.

A prompt that the server had cached is not counted at all: then the input is unknown, not zero.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import count, peek, size, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep


def read(answer: Any, _provider: str) -> Reading:
    generated = count(answer, "eval_count")
    if generated is None and peek(answer, "embeddings") is not None:
        generated = 0
    tokens = Tokens(input_tokens=count(answer, "prompt_eval_count"), output_tokens=generated)
    return Reading(tokens=tokens, quality=quality_of(tokens), model=text(answer, "model"))


def recognises(answer: Any) -> bool:
    return (
        count(answer, "eval_count", "prompt_eval_count") is not None
        or (peek(answer, "done") is not None and peek(answer, "created_at") is not None)
    )  # fmt: skip


def fold(stream: Stream, chunk: Any) -> None:
    stream.generating = True
    message = peek(chunk, "message")
    stream.generated += size(
        peek(chunk, "response", "thinking"), peek(message, "content"), peek(message, "thinking")
    )
    keep(stream, chunk, "model")
    if peek(chunk, "done") is True:
        keep(stream, chunk, "eval_count", "prompt_eval_count")
        stream.final = True


SHAPE = Shape("ollama", "ollama", recognises, read, recognises, fold)

"""OpenAI's batches: one usage for all that was asked in one, told when it has ended."""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage import openai_responses
from tokenwatcher.usage.peek import text
from tokenwatcher.usage.reading import Reading
from tokenwatcher.usage.shape import Shape, Stream

_OBJECTS = frozenset({"batch"})


def read(answer: Any, provider: str) -> Reading:
    return openai_responses.read(answer, provider)._replace(service_tier="batch", failure=None)


def recognises(answer: Any) -> bool:
    return text(answer, "object") in _OBJECTS


def recognises_chunk(_chunk: Any) -> bool:
    return False


def fold(_stream: Stream, _chunk: Any) -> None:
    """A batch does not come as a stream."""


SHAPE = Shape("openai-batch", "openai", recognises, read, recognises_chunk, fold, _OBJECTS)

"""From a provider's answer to token counts: pure functions, one small file for each shape.

A shape is looked for in the order of `SHAPES`; the more telling ones come first. To add one,
write its file and list it here.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    gemini_interactions,
    ollama,
    openai,
    openai_batch,
    openai_media,
    openai_responses,
    watsonx,
    xai,
)
from tokenwatcher.usage.peek import SCALARS, copied, fields_of, is_model, opened, text
from tokenwatcher.usage.shape import Shape

SHAPES: tuple[Shape, ...] = (
    anthropic.SHAPE,
    openai_responses.SHAPE,
    openai_batch.SHAPE,
    gemini.SHAPE,
    gemini_interactions.SHAPE,
    cohere.SHAPE,
    bedrock.SHAPE,
    xai.SHAPE,
    openai_media.SHAPE,
    openai.SHAPE,
    ollama.SHAPE,
    watsonx.SHAPE,
)


_BY_MARK = {mark: shape for shape in SHAPES for mark in shape.marks}


Held = tuple[Shape, list[Any]]
"""What an answer says of its call: its shape, and the values of the shape's fields."""


def held_of(answer: Any) -> Held | None:
    """Copy what there is to be read, if it is little, so that nothing can change it until then.

    Where it is not little, or no usage, there is nothing to hold.
    """
    kind: Any = type(answer)
    if kind is not dict:
        # `opened`, without the step to it
        if not is_model(kind):
            return None
        fields, others = fields_of(answer)
        answer = {**others, **fields} if others else fields
    if answer.get("usage") is None:
        return None
    mark = answer.get("object") or answer.get("type")
    shape = _BY_MARK.get(mark) if type(mark) is str else None
    return None if shape is None else held_as(shape, answer)


def held_as(shape: Shape, answer: dict[str, Any]) -> Held | None:
    """Copy what a shape reads of an answer's fields; None where that is not little."""
    fields = shape.fields
    if not fields:
        return None
    values = [*map(answer.get, fields)]
    for place, value in enumerate(values):
        if type(value) not in SCALARS:
            values[place] = copied(value)
    return shape, values


def shape_of(answer: Any) -> Shape | None:
    """Find the shape of a whole answer (a dict or an object of the provider's library)."""
    if type(answer) is dict:
        mark = answer.get("object") or answer.get("type")
    else:
        mark = text(answer, "object", "type")
    marked = _BY_MARK.get(mark) if isinstance(mark, str) else None
    if marked is not None:
        return marked
    return next((shape for shape in SHAPES if shape.recognises(answer)), None)


def shape_of_chunk(chunk: Any) -> Shape | None:
    """Find the shape of a stream by one of its pieces; a piece such as a ping may not tell."""
    fields = opened(chunk)
    mark = fields.get("object") if type(fields) is dict else None
    marked = _BY_MARK.get(mark) if isinstance(mark, str) else None
    if marked is not None:
        return marked
    return next((shape for shape in SHAPES if shape.recognises_chunk(chunk)), None)

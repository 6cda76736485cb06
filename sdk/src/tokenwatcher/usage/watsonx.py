"""IBM watsonx text generation: counts on each result, the output's cumulative in a stream."""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import count, items, peek, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep

_INPUT, _OUTPUT = "input_token_count", "generated_token_count"


def read(answer: Any, _provider: str) -> Reading:
    results = items(answer, "results") or [answer]
    asked = [number for one in results if (number := count(one, _INPUT)) is not None]
    made = [number for one in results if (number := count(one, _OUTPUT)) is not None]
    tokens = Tokens(
        input_tokens=sum(asked) if asked else None, output_tokens=sum(made) if made else None
    )
    return Reading(tokens=tokens, quality=quality_of(tokens), model=text(answer, "model_id"))


def recognises(answer: Any) -> bool:
    return any(peek(one, _OUTPUT) is not None for one in items(answer, "results"))


def fold(stream: Stream, chunk: Any) -> None:
    """The first event counts the prompt and the others say 0; the output's count grows."""
    keep(stream, chunk, "model_id")
    for result in items(chunk, "results"):
        for name in (_INPUT, _OUTPUT):
            number = count(result, name)
            if number is not None:
                stream.answer[name] = max(number, stream.answer.get(name, 0))
        stream.generating = stream.generating or bool(count(result, _OUTPUT))
        stream.final = (text(result, "stop_reason") or "not_finished") != "not_finished"


SHAPE = Shape("watsonx", "watsonx", recognises, read, recognises, fold)

"""xAI's own library: OpenAI's names at one level, and reasoning beside the completion."""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.openai import reported_cost, settle_output
from tokenwatcher.usage.peek import count, items, peek, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep

_TOOL = "SERVER_SIDE_TOOL_"


def read(answer: Any, _provider: str) -> Reading:
    usage = peek(answer, "usage")
    prompt = count(usage, "prompt_tokens")
    output = settle_output(
        prompt,
        count(usage, "completion_tokens"),
        count(usage, "reasoning_tokens"),
        count(usage, "total_tokens"),
        "xai",
    )
    tokens = Tokens(
        input_tokens=prompt,
        output_tokens=output.tokens,
        cache_read_tokens=count(usage, "cached_prompt_text_tokens"),
        reasoning_tokens=output.reasoning,
        image_input_tokens=count(usage, "prompt_image_tokens"),
    )
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=output.agrees),
        model=text(answer, "model"),
        response_id=text(answer, "id"),
        server_tool_calls=_server_tool_calls(usage),
        reported_cost_usd=reported_cost(usage),
    )


def _server_tool_calls(usage: Any) -> dict[str, int] | None:
    calls: dict[str, int] = {}
    for tool in items(usage, "server_side_tools_used"):
        if isinstance(tool, str):
            name = tool.removeprefix(_TOOL).lower()
            calls[name] = calls.get(name, 0) + 1
    return calls or None


def recognises(answer: Any) -> bool:
    return peek(peek(answer, "usage"), "prompt_text_tokens") is not None


def fold(stream: Stream, chunk: Any) -> None:
    """Each chunk's usage is cumulative; some carry the cost alone."""
    stream.generating = True
    keep(stream, chunk, "id", "model")
    if count(peek(chunk, "usage"), "prompt_tokens") is not None:
        keep(stream, chunk, "usage")


SHAPE = Shape("xai", "xai", recognises, read, recognises, fold)

"""OpenAI's Responses, as also spoken by Azure, xAI, OpenRouter, DeepSeek and Bedrock."""

from __future__ import annotations

from typing import Any

from tokenwatcher.masking import mask
from tokenwatcher.usage.openai import reported_cost, settle_output
from tokenwatcher.usage.peek import count, items, opened, peek, size, text
from tokenwatcher.usage.reading import Failure, Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream

_OBJECTS = frozenset({"response", "response.compaction"})
_TOOL_CALLS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
_XAI_TOOL_CALLS = {
    "web_search_calls": "web_search",
    "x_search_calls": "x_search",
    "code_interpreter_calls": "code_interpreter",
    "file_search_calls": "file_search",
    "document_search_calls": "document_search",
}


def read(answer: Any, provider: str) -> Reading:
    response = opened(peek(answer, "response") or answer)  # a stream's events carry the answer
    usage = opened(peek(response, "usage"))
    tokens, agrees = _tokens(usage, provider)
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=agrees),
        model=text(response, "model"),
        response_id=text(response, "id"),
        request_id=text(response, "_request_id"),
        service_tier=text(response, "service_tier"),
        server_tool_calls=_server_tool_calls(response, usage),
        reported_cost_usd=reported_cost(usage),
        failure=_failure(response),
    )


def _tokens(usage: Any, provider: str) -> tuple[Tokens, bool]:
    asked = opened(peek(usage, "input_tokens_details", "input_token_details"))
    generated = opened(peek(usage, "output_tokens_details", "output_token_details"))
    prompt = count(usage, "input_tokens")
    output = settle_output(
        prompt,
        count(usage, "output_tokens"),
        count(generated, "reasoning_tokens"),
        count(usage, "total_tokens"),
        provider,
    )
    tokens = Tokens(
        input_tokens=prompt,
        output_tokens=output.tokens,
        cache_read_tokens=count(asked, "cached_tokens"),
        cache_write_tokens=count(asked, "cache_write_tokens"),
        reasoning_tokens=output.reasoning,
        audio_input_tokens=count(asked, "audio_tokens"),
        audio_output_tokens=count(generated, "audio_tokens"),
        image_input_tokens=count(asked, "image_tokens"),
    )
    return tokens, output.agrees


def _server_tool_calls(response: Any, usage: Any) -> dict[str, int] | None:
    calls: dict[str, int] = {}
    said = peek(usage, "server_side_tool_usage_details")
    if said is not None:  # xAI counts for us
        for name, tool in _XAI_TOOL_CALLS.items():
            if number := count(said, name):
                calls[tool] = number
        return calls or None
    for item in items(response, "output"):
        tool_name = _TOOL_CALLS.get(text(item, "type") or "")
        if tool_name is not None:
            calls[tool_name] = calls.get(tool_name, 0) + 1
    return calls or None


def _failure(response: Any) -> Failure | None:
    if text(response, "status") != "failed":
        return None
    error = peek(response, "error")
    code, message = text(error, "code"), text(error, "message")
    return Failure(type=code or "failed", message=mask(message) if message else None, code=code)


def recognises(answer: Any) -> bool:
    if text(answer, "object") in _OBJECTS:
        return True
    # decisions name no kind
    return peek(answer, "answers") is not None and peek(answer, "usage") is not None


def recognises_chunk(chunk: Any) -> bool:
    return (text(chunk, "type") or "").startswith("response.")


def fold(stream: Stream, chunk: Any) -> None:
    kind = text(chunk, "type") or ""
    if kind.endswith(".delta"):
        stream.generating = True
        stream.generated += size(peek(chunk, "delta"))
    response = peek(chunk, "response")
    if response is not None:
        stream.answer["response"] = response
        stream.final = kind in {"response.completed", "response.incomplete", "response.failed"}


SHAPE = Shape("openai-responses", "openai", recognises, read, recognises_chunk, fold, _OBJECTS)

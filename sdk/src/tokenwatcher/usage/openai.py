"""OpenAI's chat, completions, embeddings and assistants, and all who speak their language.

Azure, Groq, DeepSeek, xAI, OpenRouter, Mistral, Together, Perplexity and most self-hosted
servers send `usage` with `prompt_tokens` and `completion_tokens`. Where they differ in meaning,
the difference is a rule with a name below; each holds by what the numbers themselves show, so
it works whatever the server calls itself.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenwatcher.usage.money import picodollars, usd_text
from tokenwatcher.usage.peek import (
    copied,
    count,
    fields_of,
    items,
    opened,
    peek,
    size,
    text,
)
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream

_OBJECTS = frozenset({"chat.completion", "chat.completion.chunk", "text_completion", "thread.run"})
_REASONING_APART = {"xai", "x-ai", "x_ai", "grok"}
_GOOGLE = {"google", "gemini", "vertex", "vertex_ai", "gemini-openai"}
_TICKS_PER_USD = 10**10
_COSTS = frozenset({"cost", "cost_in_usd_ticks"})
_FIELDS = ("id", "model", "service_tier", "usage", "x_groq")
_BESIDE_CONTENT = ("reasoning_content", "reasoning", "refusal", "function_call", "tool_calls")
_SEARCHES = frozenset({"server_tool_use_details", "num_search_queries"})


class Output(NamedTuple):
    """Generated tokens, and whether they agree with the total that the provider states."""

    tokens: int | None
    reasoning: int | None
    agrees: bool


def read(answer: Any, provider: str) -> Reading:
    answer = opened(answer)
    usage = opened(peek(answer, "usage") or peek(peek(answer, "x_groq"), "usage"))
    model = text(answer, "model")
    tokens, agrees = _tokens(usage, provider, model or "")
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens, agrees=agrees),
        model=model,
        response_id=text(answer, "id"),
        request_id=text(answer, "_request_id"),
        service_tier=text(answer, "service_tier"),
        server_tool_calls=_server_tool_calls(usage),
        reported_cost_usd=reported_cost(usage),
    )


def _tokens(usage: Any, provider: str, model: str) -> tuple[Tokens, bool]:
    asked = opened(peek(usage, "prompt_tokens_details", "prompt_token_details"))
    generated = opened(peek(usage, "completion_tokens_details"))
    prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    total = count(usage, "total_tokens")
    if prompt is None and completion is None:
        prompt = total  # Voyage, Jina and other embedders state the total alone
    if completion is None and prompt is not None and total is not None:
        completion = max(total - prompt, 0)  # embeddings: nothing is generated
    reasoning = count(generated, "reasoning_tokens")
    if reasoning is None:
        reasoning = count(usage, "reasoning_tokens")
    by_google = provider in _GOOGLE or "gemini" in model
    output = settle_output(prompt, completion, reasoning, total, provider, by_google=by_google)
    tokens = Tokens(
        input_tokens=prompt,
        output_tokens=output.tokens,
        cache_read_tokens=_cache_read(usage, asked),
        cache_write_tokens=count(asked, "cache_write_tokens"),
        reasoning_tokens=output.reasoning,
        audio_input_tokens=count(asked, "audio_tokens"),
        audio_output_tokens=count(generated, "audio_tokens"),
        image_input_tokens=count(asked, "image_tokens"),
    )
    return tokens, output.agrees


def settle_output(
    prompt: int | None,
    completion: int | None,
    reasoning: int | None,
    total: int | None,
    provider: str,
    *,
    by_google: bool = False,
) -> Output:
    """Decide by arithmetic whether reasoning is within the completion or beside it.

    1. Prompt and completion make the total: reasoning is within (OpenAI and most others).
    2. Reasoning makes up exactly what is missing: it is beside, and is added (xAI).
    3. Google's OpenAI-compatible endpoint leaves thoughts out of the completion and does not
       name them: what is missing is the thoughts, and the usage is marked inconsistent.
    4. Anything else that does not add up is kept as it was said, and marked inconsistent.
    """
    if completion is None:
        return Output(None, reasoning, agrees=True)
    if prompt is None or total is None:
        if reasoning and provider in _REASONING_APART:
            return Output(completion + reasoning, reasoning, agrees=True)
        return Output(completion, reasoning, agrees=True)
    missing = total - prompt - completion
    if missing == 0:
        return Output(completion, reasoning, agrees=True)
    if reasoning and missing == reasoning:
        return Output(completion + reasoning, reasoning, agrees=True)
    if missing > 0 and not reasoning and by_google:
        return Output(completion + missing, missing, agrees=False)
    return Output(completion, reasoning, agrees=False)


def _cache_read(usage: Any, asked: Any) -> int | None:
    """Find the cached part of the prompt; where it is named twice, it is the same tokens."""
    cached = count(asked, "cached_tokens")
    if cached is not None:
        return cached
    # in this order: DeepSeek; Mistral; Together, Moonshot and Anthropic's compatible endpoint
    return count(usage, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")


def _server_tool_calls(usage: Any) -> dict[str, int] | None:
    if type(usage) is dict and _SEARCHES.isdisjoint(usage):
        return None
    searches = count(peek(usage, "server_tool_use_details"), "web_search_requests")  # OpenRouter
    searches = searches or count(usage, "num_search_queries")  # Perplexity
    return {"web_search": searches} if searches else None


def reported_cost(usage: Any) -> str | None:
    """Give what the provider itself charged: OpenRouter's `cost`, or xAI's ticks of 1e-10 USD."""
    if type(usage) is dict and _COSTS.isdisjoint(usage):
        return None
    ticks = picodollars(peek(usage, "cost_in_usd_ticks"), per_usd=_TICKS_PER_USD)
    if ticks is not None:
        return usd_text(ticks)
    cost = picodollars(peek(usage, "cost"))
    if cost is not None and peek(usage, "is_byok") is True:
        # with a key of one's own, `cost` is OpenRouter's fee alone
        cost += picodollars(peek(peek(usage, "cost_details"), "upstream_inference_cost")) or 0
    return usd_text(cost)


def recognises(answer: Any) -> bool:
    if text(answer, "object") in _OBJECTS:
        return True
    usage = peek(answer, "usage")
    return (
        isinstance(peek(answer, "choices"), (list, tuple))
        or count(usage, "prompt_tokens") is not None
        or (count(usage, "total_tokens") is not None and peek(answer, "data") is not None)
    )


def recognises_chunk(chunk: Any) -> bool:
    chunk = _unwrapped(chunk)
    return recognises(chunk) or (text(chunk, "object") or "").startswith("thread.")


def fold(stream: Stream, chunk: Any) -> None:
    kind: Any = type(chunk)
    if kind is stream.kind:
        more = _more_text(chunk)
        if more is not None:
            stream.generated += more
            return
    chunk = opened(chunk)
    if type(chunk) is dict and chunk.get("object") == "chat.completion.chunk":
        _note(stream, chunk)
        if stream.generating and kind is not dict:
            stream.kind = kind
        return
    chunk = opened(_unwrapped(chunk))
    if not _is_step(stream, chunk):
        names = (*_FIELDS, "choices")
        _note(stream, chunk if type(chunk) is dict else {name: peek(chunk, name) for name in names})


def _note(stream: Stream, chunk: dict[str, Any]) -> None:
    for name in _FIELDS:
        value = chunk.get(name)
        if value:
            stream.answer[name] = value if type(value) is str else copied(value)
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, (list, tuple)) else ():
        _note_output(stream, opened(choice))
    if chunk.get("usage") or peek(chunk.get("x_groq"), "usage"):
        stream.final = not choices or "finished" in stream.answer


def _is_step(stream: Stream, chunk: Any) -> bool:
    """Note a step of an assistant's run: its own usage is within the usage of its run."""
    kind = text(chunk, "object") or ""
    if not kind.startswith("thread.") or kind == "thread.run":
        return False
    stream.generating = stream.generating or kind == "thread.message.delta"
    return True


def _more_text(chunk: Any) -> int | None:
    """Give the bytes of a piece that brings nothing but more text, as most do; None for others.

    It is a model of pydantic, and a piece of chat as the one before.
    """
    try:
        fields, others = fields_of(chunk)
        (choice,) = fields["choices"]
        told = choice.__dict__
        delta, more = fields_of(told["delta"])
        content = delta["content"]
        if (
            more
            or fields.get("usage") is not None
            or fields.get("x_groq") is not None
            or told["finish_reason"] is not None
            or delta.get("tool_calls")
            or delta.get("function_call")
            or delta.get("refusal")
            or (others and ("usage" in others or "x_groq" in others))
        ):
            return None
        return len(content) if content.isascii() else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _unwrapped(chunk: Any) -> Any:
    """The assistants' stream, and Mistral's library, wrap each object in an event."""
    data = peek(chunk, "data")
    return chunk if text(data, "object") is None else data


def _note_output(stream: Stream, choice: Any) -> None:
    if type(choice) is not dict:
        choice = {name: peek(choice, name) for name in ("finish_reason", "delta", "text")}
    if choice.get("finish_reason"):
        stream.answer["finished"] = True
    delta = opened(choice.get("delta"))
    if delta is None:
        said = size(choice.get("text"))
    else:
        if type(delta) is not dict:
            delta = {name: peek(delta, name) for name in ("content", *_BESIDE_CONTENT)}
        get = delta.get
        content = get("content")
        said = len(content) if type(content) is str and content.isascii() else size(content)
        reasoning = get("reasoning_content") or get("reasoning")
        if reasoning:
            said += size(reasoning)
        if get("tool_calls") or get("function_call") or get("refusal"):
            said += _beside_content(delta)
    if said:
        stream.generating = True
        stream.generated += said


def _beside_content(delta: dict[str, Any]) -> int:
    """Give the bytes of a refusal and of calls of functions."""
    called = [peek(call, "function") for call in items(delta, "tool_calls")]
    called.append(delta.get("function_call"))
    said = sum(size(peek(function, "name"), peek(function, "arguments")) for function in called)
    return said + size(delta.get("refusal"))


SHAPE = Shape(
    "openai", "openai", recognises, read, recognises_chunk, fold, _OBJECTS,
    (*_FIELDS, "_request_id"),
)  # fmt: skip

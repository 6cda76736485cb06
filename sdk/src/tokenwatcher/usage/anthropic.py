"""Anthropic's messages, from Anthropic, from Vertex and (as the body) from Bedrock.

`input_tokens` leaves out what was read from the cache and what was written to it, so the whole
prompt is the sum of the three. Thinking is within `output_tokens`.
"""

from __future__ import annotations

from typing import Any

from tokenwatcher.usage.peek import count, items, opened, peek, size, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream, keep

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_TOOL_CALLS = {
    "web_search_requests": "web_search",
    "web_fetch_requests": "web_fetch",
    "code_execution_requests": "code_execution",
}
_CHUNKS = {
    "message_start", "message_delta", "message_stop", "content_block_start",
    "content_block_delta", "content_block_stop", "ping",
}  # fmt: skip


def read(answer: Any, _provider: str) -> Reading:
    answer = opened(answer)
    usage = opened(peek(answer, "usage"))
    model, response_id = text(answer, "model"), text(answer, "id")
    own, others = _by_model(items(usage, "iterations"), model)
    tokens = _sum(own, usage) if own else _tokens(usage)
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens),
        model=model,
        response_id=response_id,
        request_id=text(answer, "_request_id"),
        service_tier=_tier(usage),
        server_tool_calls=_server_tool_calls(usage),
        also=tuple(_other(entry, position, response_id) for position, entry in others),
    )


def _tokens(usage: Any) -> Tokens:
    uncached, cache_read, cache_write = (count(usage, name) for name in _COUNTS)
    lifetimes = peek(usage, "cache_creation")
    write_5m = count(lifetimes, "ephemeral_5m_input_tokens")
    write_1h = count(lifetimes, "ephemeral_1h_input_tokens")
    if (write_5m or 0) + (write_1h or 0) != (cache_write or 0):
        # a stream's last total may be newer than the split that came with its first event
        write_5m = write_1h = None
    return Tokens(
        input_tokens=(
            None if uncached is None else uncached + (cache_read or 0) + (cache_write or 0)
        ),
        output_tokens=count(usage, "output_tokens"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=count(peek(usage, "output_tokens_details"), "thinking_tokens"),
    )


def _by_model(iterations: list[Any], model: str | None) -> tuple[list[Any], list[tuple[int, Any]]]:
    """Part the sampling rounds of one answer into its model's own and those of other models.

    The top-level usage leaves out a compaction and an advisor, though both are charged. A round
    of another model is charged at that model's price; one that was declined has no output and
    is not charged.
    """
    own: list[Any] = []
    others: list[tuple[int, Any]] = []
    for position, entry in enumerate(iterations):
        other = text(entry, "model")
        if other is None or model is None or _same(other, model):
            own.append(entry)
        elif count(entry, "output_tokens"):
            others.append((position, entry))
    return own, others


def _same(one: str, other: str) -> bool:
    """One may carry a date: `claude-sonnet-4-5` and `claude-sonnet-4-5-20250929`."""
    return one.startswith(other) or other.startswith(one)


def _sum(rounds: list[Any], usage: Any) -> Tokens:
    """Add up rounds; the count of thinking is stated once, beside them."""
    read_out = [_tokens(entry) for entry in rounds]
    columns = [
        None if all(number is None for number in column) else sum(number or 0 for number in column)
        for column in zip(*read_out, strict=True)
    ]
    added = Tokens(*columns)
    if added.reasoning_tokens is None:
        stated = count(peek(usage, "output_tokens_details"), "thinking_tokens")
        added = added._replace(reasoning_tokens=stated)
    return added


def _other(entry: Any, position: int, response_id: str | None) -> Reading:
    tokens = _tokens(entry)
    return Reading(
        tokens=tokens,
        quality=quality_of(tokens),
        model=text(entry, "model"),
        response_id=f"{response_id}#{position}" if response_id else None,
    )


def _tier(usage: Any) -> str | None:
    """Fast mode has its own price, as a tier has."""
    return "fast" if text(usage, "speed") == "fast" else text(usage, "service_tier")


def _server_tool_calls(usage: Any) -> dict[str, int] | None:
    used = peek(usage, "server_tool_use")
    calls = {tool: number for name, tool in _TOOL_CALLS.items() if (number := count(used, name))}
    return calls or None


def recognises(answer: Any) -> bool:
    kind = text(answer, "type")
    return kind == "message" or (kind == "completion" and peek(answer, "completion") is not None)


def recognises_chunk(chunk: Any) -> bool:
    return text(chunk, "type") in _CHUNKS or recognises(chunk)


def fold(stream: Stream, chunk: Any) -> None:
    """Merge usage field by field: each number is cumulative, and the last one said holds."""
    chunk = opened(chunk)
    kind = text(chunk, "type")
    if kind == "content_block_delta":
        stream.generating = True
        delta = peek(chunk, "delta")
        stream.generated += size(peek(delta, "text", "thinking", "partial_json"))
    elif kind == "message_start":
        message = peek(chunk, "message")
        keep(stream, message, "id", "model")
        _merge(stream, peek(message, "usage"))
    elif kind == "message_delta":
        _merge(stream, peek(chunk, "usage"))
        stream.final = True
    elif kind == "completion":
        stream.generating = True
        stream.generated += size(peek(chunk, "completion"))
        keep(stream, chunk, "id", "model")


def _merge(stream: Stream, said: Any) -> None:
    usage = stream.answer.setdefault("usage", {})
    for name in (
        *_COUNTS, "output_tokens", "output_tokens_details", "cache_creation", "server_tool_use",
        "service_tier", "speed", "iterations",
    ):  # fmt: skip
        value = peek(said, name)
        if value is not None:
            usage[name] = value


SHAPE = Shape(
    "anthropic",
    "anthropic",
    recognises,
    read,
    recognises_chunk,
    fold,
    frozenset({"message"}),
    ("id", "model", "usage", "_request_id"),
)

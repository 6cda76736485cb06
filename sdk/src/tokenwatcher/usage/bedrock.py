"""Amazon Bedrock: Converse, and models invoked directly (Nova, Titan and others' own bodies).

`inputTokens` leaves out cache reads and writes, as Anthropic's does. An answer of `invoke_model`
that is not of Anthropic's shape tells its counts in the body, in the stream's last metrics, or
only in the response headers.
"""

from __future__ import annotations

import json
from typing import Any

from tokenwatcher.usage import anthropic
from tokenwatcher.usage.peek import as_count, count, items, peek, size, text
from tokenwatcher.usage.reading import Reading, Tokens, quality_of
from tokenwatcher.usage.shape import Shape, Stream

_METRICS = "amazon-bedrock-invocationMetrics"
_HEADER = "x-amzn-bedrock-{}-token-count"
_CHUNKS = {
    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop",
    "metadata", "chunk",
}  # fmt: skip
_TELLING = (b"sage", b"okenCount", b"message_start", b"_delta")
"""A piece of a stream without any of these is text of no known form, and is not decoded."""


def read(answer: Any, provider: str) -> Reading:
    """Read the body; what it does not say is taken from the metrics, then from the headers."""
    said = peek(answer, "anthropic")
    reading = anthropic.read(said, provider) if said is not None else Reading()
    tokens = reading.tokens if said is not None else _converse(peek(answer, "usage"))
    for other in (_metrics(answer), _titan(answer), _headers(answer)):
        tokens = _filled(tokens, other)
    if peek(answer, "embeddings", "embedding") is not None and tokens.output_tokens is None:
        tokens = tokens._replace(output_tokens=0)
    metadata = peek(answer, "ResponseMetadata")
    return reading._replace(
        tokens=tokens,
        quality=quality_of(tokens, agrees=_total_agrees(answer, tokens)),
        response_id=reading.response_id or text(answer, "id"),
        request_id=text(metadata, "RequestId"),
        service_tier=reading.service_tier or text(peek(answer, "serviceTier"), "type"),
    )


def _converse(usage: Any) -> Tokens:
    uncached = count(usage, "inputTokens")
    cache_read = count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    cache_write = count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    write_5m, write_1h = _lifetimes(usage)
    return Tokens(
        input_tokens=_whole(uncached, cache_read, cache_write),
        output_tokens=count(usage, "outputTokens"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
    )


def _whole(uncached: int | None, cache_read: int | None, cache_write: int | None) -> int | None:
    return None if uncached is None else uncached + (cache_read or 0) + (cache_write or 0)


def _lifetimes(usage: Any) -> tuple[int | None, int | None]:
    """Cache writes by how long they last; where only one is named, none is of the other."""
    details = items(usage, "cacheDetails")
    if not details:
        return None, None
    written = {"5m": 0, "1h": 0}
    for detail in details:
        lasting = text(detail, "ttl")
        if lasting in written:
            written[lasting] += count(detail, "inputTokens") or 0
    return written["5m"], written["1h"]


def _metrics(answer: Any) -> Tokens:
    metrics = peek(answer, _METRICS)
    cache_read = count(metrics, "cacheReadInputTokenCount")
    cache_write = count(metrics, "cacheWriteInputTokenCount")
    return Tokens(
        input_tokens=_whole(count(metrics, "inputTokenCount"), cache_read, cache_write),
        output_tokens=count(metrics, "outputTokenCount"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
    )


def _titan(answer: Any) -> Tokens:
    prompt = count(answer, "inputTextTokenCount")
    generated = [count(result, "tokenCount") for result in items(answer, "results")]
    if prompt is None or any(number is None for number in generated):
        return Tokens(input_tokens=prompt)
    return Tokens(input_tokens=prompt, output_tokens=sum(number or 0 for number in generated))


def _headers(answer: Any) -> Tokens:
    headers = peek(peek(answer, "ResponseMetadata"), "HTTPHeaders")
    uncached, written, cache_read, cache_write = (
        _number(peek(headers, _HEADER.format(kind)))
        for kind in ("input", "output", "cache-read-input", "cache-write-input")
    )
    return Tokens(
        input_tokens=_whole(uncached, cache_read, cache_write),
        output_tokens=written,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
    )


def _number(header: Any) -> int | None:
    return int(header) if isinstance(header, str) and header.isdecimal() else as_count(header)


def _filled(tokens: Tokens, other: Tokens) -> Tokens:
    """Take a whole that is missing from elsewhere, and a prompt together with its parts."""
    if tokens.input_tokens is None and other.input_tokens is not None:
        tokens = other._replace(output_tokens=tokens.output_tokens)
    if tokens.output_tokens is None:
        tokens = tokens._replace(output_tokens=other.output_tokens)
    return tokens


def _total_agrees(answer: Any, tokens: Tokens) -> bool:
    total = count(peek(answer, "usage"), "totalTokens")
    return total is None or total == (tokens.input_tokens or 0) + (tokens.output_tokens or 0)


def recognises(answer: Any) -> bool:
    return (
        count(peek(answer, "usage"), "inputTokens") is not None
        or peek(answer, _METRICS, "inputTextTokenCount") is not None
        or peek(peek(peek(answer, "ResponseMetadata"), "HTTPHeaders"), _HEADER.format("input"))
        is not None
    )


def recognises_chunk(chunk: Any) -> bool:
    """A piece of a stream is one member of a union: a dict with a single key."""
    return isinstance(chunk, dict) and len(chunk) == 1 and next(iter(chunk)) in _CHUNKS


def fold(stream: Stream, chunk: Any) -> None:
    piece = peek(peek(chunk, "chunk"), "bytes")
    if isinstance(piece, bytes):
        stream.generating = True
        _fold_body(stream, piece)
        return
    if "contentBlockDelta" in chunk:
        stream.generating = True
        delta = peek(chunk["contentBlockDelta"], "delta")
        stream.generated += size(
            peek(delta, "text"), peek(peek(delta, "toolUse"), "input"),
            peek(peek(delta, "reasoningContent"), "text"),
        )  # fmt: skip
    usage = peek(peek(chunk, "metadata"), "usage")
    if usage is not None:
        stream.answer["usage"] = usage
        stream.final = True


def _fold_body(stream: Stream, piece: bytes) -> None:
    """Note what one event of a model's own stream says; most of them are text alone."""
    if not any(mark in piece for mark in _TELLING):
        return
    try:
        event = json.loads(piece)
    except (ValueError, RecursionError):
        return
    if anthropic.recognises_chunk(event):
        inner = Stream(answer=stream.answer.setdefault("anthropic", {}))
        anthropic.fold(inner, event)
        stream.final = stream.final or inner.final
        stream.generated += inner.generated
    elif peek(peek(event, "metadata"), "usage") is not None:
        fold(stream, {"metadata": event["metadata"]})
    metrics = peek(event, _METRICS)
    if metrics is not None:
        stream.answer[_METRICS] = metrics
        stream.final = True


SHAPE = Shape("bedrock", "bedrock", recognises, read, recognises_chunk, fold)

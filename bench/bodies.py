"""Requests as an SDK sends them, made cheaply enough for the client to share the machine.

A template is the JSON of made-up calls with gaps for ids and times; a request is one
formatting operation on it. Its 24 templates differ in length as real batches do.
"""

import json
import os
import time
from random import Random
from typing import Any

from tokenwatcher_server.demo.calls import Caller, Shape, draw_callers, draw_shapes
from tokenwatcher_server.demo.company import STREAMS, Stream

TEMPLATES = 24
_GAP = "@gap@"
_DIGITS = 42
"""Random hex digits for each event: 18 for its id, 24 for its response id."""

_Pool = tuple[Stream, list[Shape], list[Caller]]


class Requests:
    """Gives whole HTTP requests; ids and response ids are never used twice."""

    def __init__(self, key: str, batch: int, *, seed: int = 11) -> None:
        rng = Random(seed)
        pools = [
            (stream, draw_shapes(stream, rng), draw_callers(stream, rng)) for stream in STREAMS
        ]
        self._batch = batch
        self._templates = [_template(pools, batch, rng) for _ in range(TEMPLATES)]
        self._head = (
            f"POST /api/ingest{'' if batch == 1 else '/batch'} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: "
        ).encode()
        self._made = 0

    def next(self) -> bytes:
        template = self._templates[self._made % TEMPLATES]
        self._made += 1
        now = time.time()
        moment = f"{int(now * 1000):012x}"
        prefix = f"{moment[:8]}-{moment[8:]}-7"
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}Z"
        digits = os.urandom(_DIGITS // 2 * self._batch).hex()
        gaps: list[str] = []
        for start in range(0, len(digits), _DIGITS):
            own = digits[start : start + _DIGITS]
            gaps += (f"{prefix}{own[:3]}-8{own[3:6]}-{own[6:18]}", stamp, own[18:])
        body = (template % tuple(gaps)).encode()
        return b"%b%d\r\n\r\n%b" % (self._head, len(body), body)


def _template(pools: list[_Pool], batch: int, rng: Random) -> str:
    chosen = rng.choices(pools, [stream.calls for stream, _, _ in pools], k=batch)
    events = [
        _wire(stream, _succeeded(shapes, rng), rng.choice(callers))
        for stream, shapes, callers in chosen
    ]
    document: Any = events[0] if batch == 1 else {"events": events}
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("%", "%%").replace(_GAP, "%s")


def _succeeded(shapes: list[Shape], rng: Random) -> Shape:
    while (shape := rng.choice(shapes)).error_type is not None:
        pass
    return shape


def _wire(stream: Stream, shape: Shape, caller: Caller) -> dict[str, Any]:
    tokens = shape.tokens
    said = {
        "id": _GAP,
        "timestamp": _GAP,
        "provider": stream.provider,
        "model": stream.model,
        "requestedModel": stream.requested_model,
        "serviceTier": stream.service_tier,
        "latencyMs": shape.latency_ms,
        "timeToFirstTokenMs": shape.time_to_first_token_ms,
        "streaming": stream.streaming,
        "responseId": f"resp_{_GAP}",
        "userId": caller.user_id,
        "projectSlug": stream.project,
        "tags": caller.tags,
        "inputTokens": shape.input_tokens,
        "outputTokens": shape.output_tokens,
        "cacheReadTokens": tokens.cache_read,
        "cacheWriteTokens": tokens.cache_write_5m,
        "cacheWrite5mTokens": tokens.cache_write_5m,
        "reasoningTokens": tokens.output_reasoning,
    }
    return {name: value for name, value in said.items() if value is not None}

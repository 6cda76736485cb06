"""What a wrapped client adds to a call on the caller's thread.

The provider's client answers itself from memory, so nothing is measured but Python. Plain and
wrapped clients take turns in blocks of one run, so that a busy machine hits both alike.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import anthropic
import httpx2
import openai

from bench.row import Limit, Row
from tokenwatcher import Answer, TokenWatcher

MOST_MEDIAN_US = 20.0
MOST_P99_US = 100.0
BLOCK = 50
CHUNKS = 40

_CHAT = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A short answer. " * 20},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 80,
        "total_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
}
_MESSAGE = {
    "id": "msg_0123456789abcdef0123",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [{"type": "text", "text": "A short answer. " * 20}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 120, "output_tokens": 80},
}
_ASKED: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "A question?"}]}


class _Discarding:
    """Takes what is sent, as a server would that costs nothing."""

    def post(self, _path: str, _body: bytes) -> Answer:
        return Answer(200, b"")

    def close(self) -> None:
        """Nothing is held open."""


def measure(calls: int) -> list[Row]:
    """Measure `calls` calls of each kind, plain and wrapped."""
    watcher = TokenWatcher("bench", transport=_Discarding())
    rows: list[Row] = []
    try:
        for name, prepare in (
            ("openai", _openai),
            ("openai stream", _stream),
            ("anthropic", _anthropic),
        ):
            plain, wrapped = prepare(lambda client: client), prepare(watcher.wrap)
            rows += _rows(name, *_take_turns(plain, wrapped, calls))
    finally:
        watcher.shutdown()
    return rows


def _openai(wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    client = wrap(_openai_client(json.dumps(_CHAT).encode(), "application/json"))
    return lambda: client.chat.completions.create(**_ASKED)


def _stream(wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    client = wrap(_openai_client(_stream_body(), "text/event-stream"))
    options = {"include_usage": True}  # both get the same pieces

    def call() -> None:
        for _chunk in client.chat.completions.create(**_ASKED, stream=True, stream_options=options):
            pass

    return call


def _anthropic(wrap: Callable[[Any], Any]) -> Callable[[], Any]:
    transport = _answering(json.dumps(_MESSAGE).encode(), "application/json")
    client = wrap(
        anthropic.Anthropic(
            api_key="k", http_client=anthropic.DefaultHttpxClient(transport=transport)
        )
    )
    return lambda: client.messages.create(**_ASKED, max_tokens=100)


def _openai_client(body: bytes, kind: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(transport=_answering(body, kind))
    return openai.OpenAI(api_key="k", http_client=http)


def _answering(body: bytes, kind: str) -> httpx2.MockTransport:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": kind})

    return httpx2.MockTransport(answer)


def _stream_body() -> bytes:
    head = {key: _CHAT[key] for key in ("id", "created", "model")} | {
        "object": "chat.completion.chunk"
    }
    said = {"index": 0, "delta": {"content": "word "}, "finish_reason": None}
    chunks: list[dict[str, Any]] = [{**head, "choices": [said]} for _ in range(CHUNKS)]
    chunks.append({**head, "choices": [], "usage": _CHAT["usage"]})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def _take_turns(
    plain: Callable[[], Any], wrapped: Callable[[], Any], calls: int
) -> tuple[list[float], list[float]]:
    """Microseconds of each call; the first block of each warms up and is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for block in range(calls // BLOCK + 1):
        for call, taken in zip((plain, wrapped), times, strict=True):
            gc.collect()
            for _ in range(BLOCK):
                began = time.perf_counter_ns()
                call()
                if block:
                    taken.append((time.perf_counter_ns() - began) / 1000)
    return times


def _rows(name: str, plain: Sequence[float], wrapped: Sequence[float]) -> list[Row]:
    return [
        Row(
            figure=f"added by wrapping, {name}, {label}",
            measured=at(wrapped) - at(plain),
            unit="µs",
            better="lower",
            target=target,
            limits=(Limit("µs unwrapped", at(plain)),),
        )
        for label, at, target in (
            ("median", statistics.median, MOST_MEDIAN_US),
            ("p99", _p99, MOST_P99_US),
        )
    ]


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]

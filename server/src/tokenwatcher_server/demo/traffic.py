"""Live traffic of the made-up company, sent by the real SDK, in a process of its own.

`python -m tokenwatcher_server.demo.traffic` runs until SIGTERM or SIGINT, then sends what is
queued. Where to send and with which key comes from `TOKENWATCHER_ENDPOINT` and
`TOKENWATCHER_API_KEY`, as in any app.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from random import Random
from secrets import token_hex
from types import FrameType

import msgspec

from tokenwatcher import TokenWatcher
from tokenwatcher_server.demo.calls import Caller, Shape, draw_callers, draw_shapes
from tokenwatcher_server.demo.company import STREAMS, Stream

PER_SECOND = 2.0
BURSTS_PER_SECOND = 0.03
BURST = (6, 18)
"""The fewest and the most calls of a burst: a page full of documents, an import."""
FLUSH_SECONDS = 3.0


class Call(msgspec.Struct, frozen=True):
    stream: Stream
    shape: Shape
    caller: Caller


def main() -> int:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    watcher = TokenWatcher()
    parent = os.getppid()
    for pause, calls in moments(Random()):  # noqa: S311 - made-up numbers
        # a parent that was killed can't stop its traffic
        if stop.wait(pause) or os.getppid() != parent:
            break
        for call in calls:
            record(watcher, call)
    watcher.shutdown(FLUSH_SECONDS)
    stats = watcher.stats()
    lost = stats.queued + stats.dropped + stats.failed
    sys.stdout.write(f"Live traffic ended: {stats.sent} events sent, {lost} lost.\n")
    return 0 if lost == 0 else 1


def moments(rng: Random) -> Iterator[tuple[float, list[Call]]]:
    """For ever: how many seconds pass, and the calls that are made then."""
    pools = [
        (stream, draw_shapes(stream, rng, growth=_growth(stream)), draw_callers(stream, rng))
        for stream in STREAMS
    ]
    weights = [stream.calls * (stream.ramp.at(0) if stream.ramp else 1.0) for stream in STREAMS]
    rate = PER_SECOND + BURSTS_PER_SECOND
    while True:
        pause = rng.expovariate(rate)
        is_burst = rng.random() < BURSTS_PER_SECOND / rate
        stream, shapes, callers = rng.choices(pools, weights)[0]
        count = rng.randint(*BURST) if is_burst else 1
        yield pause, [Call(stream, rng.choice(shapes), rng.choice(callers)) for _ in range(count)]


def record(watcher: TokenWatcher, call: Call) -> str | None:
    """Hand the call to the SDK; gives the event's id."""
    stream, shape, caller = call.stream, call.shape, call.caller
    if shape.error_type is not None:
        return watcher.track_error(
            stream.provider,
            stream.model,
            shape.error_message or "",
            error_type=shape.error_type,
            latency_ms=shape.latency_ms,
            tags=caller.tags,
            user_id=caller.user_id,
            project_slug=stream.project,
        )
    tokens = shape.tokens
    return watcher.track_manual(
        stream.provider,
        stream.model,
        shape.input_tokens,
        shape.output_tokens,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write_5m,
        cache_write_5m_tokens=tokens.cache_write_5m,
        reasoning_tokens=tokens.output_reasoning,
        latency_ms=shape.latency_ms,
        time_to_first_token_ms=shape.time_to_first_token_ms,
        streaming=stream.streaming,
        tags=caller.tags,
        user_id=caller.user_id,
        response_id=f"resp_{token_hex(12)}",
        requested_model=stream.requested_model,
        service_tier=stream.service_tier,
        project_slug=stream.project,
    )


def _growth(stream: Stream) -> float:
    return stream.growth.factor if stream.growth else 1.0


if __name__ == "__main__":
    sys.exit(main())

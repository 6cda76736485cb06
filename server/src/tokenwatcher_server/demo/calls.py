"""What single calls of a stream look like: token counts, latency, caller.

Lengths and latencies are log-normal. Drawing them is the slow part, so each stream draws a
pool once, and its calls pick from the pool.
"""

from random import Random

import msgspec

from tokenwatcher_server.demo.company import Stream
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS, Tokens

POOL = 4096
CACHE_BLOCK = 128
"""OpenAI and Google count cached prompts in blocks of tokens."""

_TIERS = ("free", "pro", "enterprise")
_TIER_WEIGHTS = (52, 36, 12)
_LONG_TAIL = 0.9
"""The exponent of the users' power law: a few call often, most rarely."""


class Shape(msgspec.Struct, frozen=True, gc=False):
    """What is measured of a call; durations in milliseconds. `error_type` where it failed."""

    tokens: Tokens
    latency_ms: int
    time_to_first_token_ms: int | None = None
    error_type: str | None = None
    error_message: str | None = None

    @property
    def input_tokens(self) -> int:
        """The whole prompt, as the wire counts it."""
        return sum(getattr(self.tokens, bucket) or 0 for bucket in INPUT_BUCKETS)

    @property
    def output_tokens(self) -> int:
        return sum(getattr(self.tokens, bucket) or 0 for bucket in OUTPUT_BUCKETS)


class Caller(msgspec.Struct, frozen=True):
    user_id: str
    tags: dict[str, str]


_FAILURES = (
    Shape(Tokens(), 180, None, "rate_limit", "429: too many requests, try again in 2 s"),
    Shape(Tokens(), 210, None, "rate_limit", "429: tokens per minute exceeded"),
    Shape(Tokens(), 60_000, None, "timeout", "no answer within 60 s"),
    Shape(Tokens(), 950, None, "overloaded", "529: the service is overloaded"),
    Shape(Tokens(), 120, None, "invalid_request", "400: longer than the context window"),
)
_FAILURE_WEIGHTS = (44, 20, 20, 12, 4)


def draw_shapes(stream: Stream, rng: Random, *, growth: float = 1.0) -> list[Shape]:
    """A pool of calls, failed ones among them; prompts are `growth` times their usual length."""
    return [
        rng.choices(_FAILURES, _FAILURE_WEIGHTS)[0]
        if rng.random() < stream.error_rate
        else _shape(stream, rng, growth)
        for _ in range(POOL)
    ]


def draw_callers(stream: Stream, rng: Random) -> list[Caller]:
    """A pool of the stream's users, each in it as often as it calls."""
    base = {"feature": stream.feature, "team": stream.team, "route": stream.route}
    tagged = {tier: base | {"customer_tier": tier} for tier in _TIERS}
    callers = [
        Caller(f"user-{number:05d}", tagged[rng.choices(_TIERS, _TIER_WEIGHTS)[0]])
        for number in rng.sample(range(10_000), stream.users)
    ]
    weights = [1 / (rank + 3) ** _LONG_TAIL for rank in range(len(callers))]
    return rng.choices(callers, weights, k=POOL)


def _shape(stream: Stream, rng: Random, growth: float) -> Shape:
    answer = stream.answer
    text_out = _length(rng, answer.median, 0.62)
    reasoning = round(text_out * answer.reasoning * rng.lognormvariate(0, 0.5))
    pace = answer.ms_per_token * rng.lognormvariate(0, 0.22)
    first_token = answer.first_token_ms * rng.lognormvariate(0, 0.38) + reasoning * pace
    return Shape(
        _tokens(stream, rng, growth, text_out, reasoning),
        round(first_token + text_out * pace),
        round(first_token) if stream.streaming else None,
    )


def _tokens(stream: Stream, rng: Random, growth: float, text_out: int, reasoning: int) -> Tokens:
    prompt = stream.prompt
    text_in = _length(rng, prompt.median, 0.48, growth)
    read = written = None
    if prompt.prefix:
        hit = rng.random() < prompt.hit
        if prompt.writes:
            read, written = (prompt.prefix, 0) if hit else (0, prompt.prefix)
        else:
            read = prompt.prefix // CACHE_BLOCK * CACHE_BLOCK if hit else 0
            text_in += prompt.prefix - read
    return Tokens(
        input_text=text_in,
        cache_read=read,
        cache_write_5m=written,
        output_text=text_out,
        output_reasoning=reasoning if stream.answer.reasoning else None,
    )


def _length(rng: Random, median: int, sigma: float, factor: float = 1.0) -> int:
    return round(median * factor * rng.lognormvariate(0, sigma))

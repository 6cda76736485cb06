"""A rate line: one price of one model, in whole picodollars per unit, and when it holds.

A rate line never changes. Its id is a digest of what it says, and every line that priced an
event is kept for ever, so a cost stays explainable after the catalogue has moved on.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from tokenwatcher_server.events.tokens import BUCKETS, Tokens
from tokenwatcher_server.kernel.clock import DAY_US

STANDARD = "standard"

KINDS = {
    "input_text": ("input",),
    "input_audio": ("input_audio", "input"),
    "input_image": ("input_image", "input"),
    "input_tool_prompt": ("input",),
    "cache_read": ("cache_read", "input"),
    "cache_read_audio": ("cache_read_audio", "cache_read", "input_audio", "input"),
    "cache_write_5m": ("cache_write", "input"),
    "cache_write_1h": ("cache_write_1h", "cache_write", "input"),
    "cache_write_other": ("cache_write", "input"),
    "output_text": ("output",),
    "output_reasoning": ("output_reasoning", "output"),
    "output_audio": ("output_audio", "output"),
}
"""The kinds of price that apply to a bucket, the most particular first.

A price list names a kind only where it differs from its parent: without a price of their own,
reasoning is output, cached tokens are input, one-hour cache writes are cache writes.
"""

TOKEN_KINDS = frozenset(kind for kinds in KINDS.values() for kind in kinds)


class ContextTier(msgspec.Struct, frozen=True):
    """The rates of a whole call whose input is more than `above` tokens in all."""

    above: int
    rates: Tokens


class RateLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one model costs. Rates are picodollars per token; instants are microseconds, UTC."""

    provider: str
    model: str
    """As the price list names it; a pattern for a price of the operator's own."""
    service_tier: str = STANDARD
    rates: Tokens
    """None in a bucket: such tokens have no price here, and a call that has any is unpriced."""
    context_tiers: tuple[ContextTier, ...] = ()
    """By `above`, smallest first."""
    calls: dict[str, int] = {}
    """Picodollars for each call of a provider's own tool, such as `web_search`."""
    per_request: int = 0
    per_hour: int = 0
    """Picodollars for an hour of the call's latency."""
    valid_from: int | None = None
    valid_to: int | None = None
    daily: tuple[int, int] | None = None
    """Microseconds after midnight UTC between which it holds; may run over midnight."""
    uncounted: tuple[str, ...] = ()
    """What the list charges for besides, and an event doesn't count: `hours of audio`."""
    source: str
    source_version: str = ""
    """Where the line was first read; not part of its identity."""
    id: str = ""

    def holds_at(self, instant_us: int) -> bool:
        if self.valid_from is not None and instant_us < self.valid_from:
            return False
        if self.valid_to is not None and instant_us >= self.valid_to:
            return False
        return self.daily is None or within_day(instant_us, *self.daily)


def within_day(instant_us: int, start: int, end: int) -> bool:
    """Whether an instant falls between two times of the day, which may lie over midnight."""
    time_of_day = instant_us % DAY_US
    if start <= end:
        return start <= time_of_day < end
    return time_of_day >= start or time_of_day < end


def identified(line: RateLine) -> RateLine:
    """The same line with its id: what it says decides it, not where it was read."""
    said = msgspec.structs.replace(line, id="", source_version="")
    digest = hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()
    return msgspec.structs.replace(line, id=digest[:32])


def bucket_rates(kinds: Mapping[str, int]) -> Tokens:
    """Give each bucket the rate of the most particular kind that has a price, or None."""

    def rate(bucket: str) -> int | None:
        return next((kinds[kind] for kind in KINDS[bucket] if kind in kinds), None)

    return Tokens(**{bucket: rate(bucket) for bucket in BUCKETS})


def priced_as(line: RateLine, bucket: str) -> str | None:
    """The bucket's parent where it is priced like it rather than by a rate of its own.

    Equal rates can't be told apart, and needn't be.
    """
    own = getattr(line.rates, bucket)
    for parent, also in _PARENTS.get(bucket, ()):
        if own is not None and own == getattr(line.rates, parent):
            return also
    return None


_PARENTS = {
    "input_audio": (("input_text", "input"),),
    "input_image": (("input_text", "input"),),
    "input_tool_prompt": (("input_text", "input"),),
    "cache_read": (("input_text", "input"),),
    "cache_read_audio": (("cache_read", "cached input"), ("input_audio", "audio input")),
    "cache_write_1h": (("cache_write_5m", "a cache write of 5 minutes"),),
    "output_reasoning": (("output_text", "output"),),
    "output_audio": (("output_text", "output"),),
}

"""What one call costs: counts times rates, in integers, and the same told line by line.

Pure: no clock, no database, no price list. `pricer` compiles a rate line once for the many
events it will price; `price` is the same arithmetic written to be read.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import astuple

from tokenwatcher_server.events.event import Cost, Event
from tokenwatcher_server.events.tokens import BUCKETS, INPUT_BUCKETS, Tokens
from tokenwatcher_server.kernel.money import MAX_PICODOLLARS
from tokenwatcher_server.pricing.rates import RateLine, priced_as

Pricer = Callable[[Event], Cost]

STATED: Final = "stated by the client"
FAILED_CALL: Final = "failed call, no tokens"
HOUR_MS: Final = 3_600_000
FREE_TOOLS: Final = frozenset({"web_fetch"})

_INPUTS = len(INPUT_BUCKETS)
_TOOL_NAMES = {
    "code_exec": "code_execution",
    "code_interpreter": "code_execution",
    "google_search": "web_search",
    "web_searche": "web_search",
    "file_searche": "file_search",
    "x_searche": "x_search",
    "social_search": "x_search",
    "storage_search": "file_search",
    "web_fetche": "web_fetch",
}
_WORDS = {
    "input_text": "input",
    "input_audio": "audio input",
    "input_image": "image input",
    "input_tool_prompt": "tool prompt input",
    "cache_read": "cached input",
    "cache_read_audio": "cached audio input",
    "cache_write_5m": "cache write, 5 minutes",
    "cache_write_1h": "cache write, 1 hour",
    "cache_write_other": "cache write",
    "output_text": "output",
    "output_reasoning": "reasoning output",
    "output_audio": "audio output",
}


class CostLine(msgspec.Struct, frozen=True, rename="camel"):
    """One product of the arithmetic, in picodollars; the lines of a cost sum to its total."""

    what: str
    quantity: int
    unit: str
    unit_price: int
    """Picodollars for one unit."""
    amount: int
    why: str


def price(event: Event, line: RateLine, match: str | None = None) -> Cost:
    """The exact cost of a call at a rate line; `total` is None, with a reason, if it has gaps."""
    if (settled := settled_cost(event)) is not None:
        return settled
    if (reason := _gap(event, line)) is not None:
        return Cost(None, price_match=match, unpriced_reason=reason)
    counts = astuple(event.tokens)
    rates = _rates(line, counts)
    amounts = [
        None if n is None else n * (rate or 0) for n, rate in zip(counts, rates, strict=True)
    ]
    fees = [fee.amount for fee in _fees(event, line)]
    total = sum(filter(None, amounts)) + sum(fees)
    if total > MAX_PICODOLLARS:
        return Cost(None, price_match=match, unpriced_reason="the cost is too large to be stored")
    return Cost(
        total,
        Tokens(*amounts),
        sum(fees) if fees else None,
        _savings(event.tokens, Tokens(*rates)),
        line.id,
        _with_free_calls(match, event, line),
    )


def explain(event: Event, line: RateLine) -> tuple[CostLine, ...]:
    """The products that `price` adds up; none where the call has no cost by this line."""
    if settled_cost(event) is not None or _gap(event, line) is not None:
        return ()
    counts = astuple(event.tokens)
    above = _above(line, counts)
    lines = [
        CostLine(_WORDS[bucket], n, "token", rate or 0, n * (rate or 0), _why(line, bucket, above))
        for bucket, n, rate in zip(BUCKETS, counts, _rates(line, counts), strict=True)
        if n
    ]
    return (*lines, *_fees(event, line))


def settled_cost(event: Event) -> Cost | None:
    """The cost that no price decides: the client's own figure, or a call that failed uncounted."""
    if event.stated_cost is not None:
        return Cost(event.stated_cost, fees=event.stated_cost, price_match=STATED)
    if event.event_type == "error" and not any(astuple(event.tokens)):
        return _FAILED
    return None


_FAILED = Cost(0, price_match=FAILED_CALL)


def unpriced(reason: str) -> Pricer:
    """A pricer for a model without a price: every event gets the reason instead."""
    without = Cost(None, unpriced_reason=reason)

    def cost_of(event: Event) -> Cost:
        if event.stated_cost is None and event.event_type == "usage":
            return without
        return settled_cost(event) or without

    return cost_of


def pricer(line: RateLine, match: str | None = None) -> Pricer:
    """Compile a line: exactly `price`, worked out fast for the ordinary call.

    Whatever is out of the ordinary (fees, tool calls, a long context, cached audio, counts or
    rates that are missing) is left to `price`. The products are written out one by one because
    that takes half the time of a loop.
    """
    said = astuple(line.rates)
    if line.per_request or line.per_hour or line.uncounted or None in said[:_INPUTS]:
        return lambda event: price(event, line, match)
    r_text, r_audio, r_image, r_tool, r_read, _, r_5m, r_1h, r_other, r_out, r_reason, r_aout = (
        rate or 0 for rate in said
    )
    no_output = None in said[_INPUTS:]
    context = line.context_tiers[0].above if line.context_tiers else None
    saved, line_id = r_text - r_read, line.id

    def cost_of(event: Event) -> Cost:
        counts = astuple(event.tokens)
        text, audio, image, tool, read, read_audio, w_5m, w_1h, other, out, reason, aout = counts
        products = (
            text and text * r_text,
            audio and audio * r_audio,
            image and image * r_image,
            tool and tool * r_tool,
            read and read * r_read,
            None,
            w_5m and w_5m * r_5m,
            w_1h and w_1h * r_1h,
            other and other * r_other,
            out and out * r_out,
            reason and reason * r_reason,
            aout and aout * r_aout,
        )
        total = sum(filter(None, products))
        if (
            read_audio is not None
            or not 0 < total <= MAX_PICODOLLARS
            or event.stated_cost is not None
            or (no_output and (out or reason or aout))
            or (context is not None and sum(filter(None, counts[:_INPUTS])) > context)
        ):
            return price(event, line, match)
        savings = None if read is None else read * saved
        if not event.server_tool_calls:
            return Cost(total, Tokens(*products), None, savings, line_id, match)
        fees = [fee.amount for fee in _tool_fees(event, line)]
        if (total := total + sum(fees)) > MAX_PICODOLLARS:
            return price(event, line, match)
        said_match = _with_free_calls(match, event, line)
        return Cost(
            total, Tokens(*products), sum(fees) if fees else None, savings, line_id, said_match
        )

    return cost_of


def _gap(event: Event, line: RateLine) -> str | None:
    """Why this line can't price the call, or None where it can."""
    counts = astuple(event.tokens)
    for bucket, n, rate in zip(BUCKETS, counts, _rates(line, counts), strict=True):
        if n and rate is None:
            return _no_rate(_WORDS[bucket], line)
    if any(astuple(line.rates)) and all(n is None for n in counts):
        return "the call has no token counts"
    if not _charges_tokens(line) and line.uncounted:
        return _no_rate("tokens", line)
    if line.per_hour and event.latency_ms is None:
        return "the price is by the hour and the call has no latency"
    return None


def _no_rate(what: str, line: RateLine) -> str:
    if line.uncounted:
        return f"the price is by {' and '.join(line.uncounted)}, which a call doesn't count"
    return f"the price has no rate for {what}"


def _charges_tokens(line: RateLine) -> bool:
    return any(rate is not None for rate in astuple(line.rates))


def _above(line: RateLine, counts: tuple[int | None, ...]) -> int | None:
    """The context length that the whole input is over, where a higher price begins there."""
    total_input = sum(filter(None, counts[:_INPUTS]))
    return max((t.above for t in line.context_tiers if total_input > t.above), default=None)


def _rates(line: RateLine, counts: tuple[int | None, ...]) -> tuple[int | None, ...]:
    above = _above(line, counts)
    tier = next((t.rates for t in line.context_tiers if t.above == above), line.rates)
    return astuple(tier)


def _savings(tokens: Tokens, rates: Tokens) -> int | None:
    pairs = (
        (tokens.cache_read, rates.input_text, rates.cache_read),
        (tokens.cache_read_audio, rates.input_audio, rates.cache_read_audio),
    )
    saved = [n * ((full or 0) - (read or 0)) for n, full, read in pairs if n is not None]
    return sum(saved) if saved else None


@lru_cache(maxsize=1024)
def tool_name(said: str) -> str:
    """The one name of a provider's tool: `web_search_requests` and `webSearches` are the same."""
    name = "".join(f"_{c.lower()}" if c.isupper() else c for c in said).strip("_")
    for ending in ("_requests", "_calls", "_call", "s"):
        name = name.removesuffix(ending)
    return _TOOL_NAMES.get(name, name)


def _fees(event: Event, line: RateLine) -> tuple[CostLine, ...]:
    fees = _tool_fees(event, line)
    if line.per_request:
        fees.append(CostLine("request", 1, "call", line.per_request, line.per_request, "per call"))
    if line.per_hour and event.latency_ms is not None:
        amount = (event.latency_ms * line.per_hour * 2 + HOUR_MS) // (2 * HOUR_MS)
        why = "by latency, to the nearest picodollar"
        fees.append(CostLine("time", event.latency_ms, "ms of an hour", line.per_hour, amount, why))
    return tuple(fees)


def _tool_fees(event: Event, line: RateLine) -> list[CostLine]:
    return [
        CostLine(f"{name} calls", n, "call", line.calls[name], n * line.calls[name], "tool fee")
        for said, n in event.server_tool_calls.items()
        if n and (name := tool_name(said)) in line.calls
    ]


def _with_free_calls(match: str | None, event: Event, line: RateLine) -> str | None:
    """Say it in the match where the list has no fee for a tool that was called."""
    unlisted = {
        name
        for said, n in event.server_tool_calls.items()
        if n and (name := tool_name(said)) not in line.calls and name not in FREE_TOOLS
    }
    if unlisted:
        return f"{match or line.model}; no fee listed for {', '.join(sorted(unlisted))}"
    return match


def _why(line: RateLine, bucket: str, above: int | None) -> str:
    tier = "" if line.service_tier == "standard" else f"{line.service_tier} tier"
    context = "" if above is None else f"more than {above:,} input tokens"
    parent = priced_as(line, bucket)
    return ", ".join(filter(None, ("" if parent is None else f"priced as {parent}", tier, context)))

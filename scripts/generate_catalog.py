"""Write the price catalogue anew from the pinned genai-prices; run it after raising the pin.

    python scripts/generate_catalog.py

The server reads the file this makes and never imports genai-prices: that saves a third of a
second at start, the memory of its model classes, and two dependencies that only it needs. A
price change is then a reviewable line in a diff. Prices become whole picodollars per unit;
a few dozen listed with binary float noise (0.18000000000000002) are rounded to the nearest one.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

TARGET = (
    Path(__file__).resolve().parent.parent / "server/src/tokenwatcher_server/pricing/catalog.jsonl"
)
PICODOLLARS = 10**12
PER_MILLION = 10**6
PER_THOUSAND = 10**3

TOKEN_KEYS = {
    "input_mtok": "input",
    "input_audio_mtok": "input_audio",
    "input_image_mtok": "input_image",
    "cache_read_mtok": "cache_read",
    "cache_audio_read_mtok": "cache_read_audio",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "output_mtok": "output",
    "output_reasoning_mtok": "output_reasoning",
    "output_audio_mtok": "output_audio",
}
CALL_KEYS = {
    "web_searches_kcount": "web_search",
    "storage_searches_kcount": "file_search",
    "social_searches_kcount": "x_search",
    "code_executions_kcount": "code_execution",
}
REQUEST_KEY = "requests_kcount"
# an event's buckets don't tell these apart; cached images go with the other cached tokens
PART_OF_A_BUCKET = {"cache_image_read_mtok", "input_video_mtok", "output_citation_mtok"}
TIERS: dict[str, tuple[dict[str, str], ...]] = {
    "batch": ({"processing": "batch"},),
    "flex": ({"service_tier": "flex"},),
    "priority": ({"service_tier": "priority"},),
    "fast": ({"service_tier": "fast"}, {"speed": "fast"}),
}
Json = dict[str, Any]


def catalog_lines() -> Iterator[str]:
    """The whole file: its source, then each provider followed by its models, one a line."""
    yield _line({"source": "genai-prices", "version": version("genai-prices")})
    for provider in providers:
        fallbacks = provider.fallback_model_providers or []
        yield _line({"provider": provider.id, **({"fallbacks": fallbacks} if fallbacks else {})})
        for model in provider.models:
            yield _line(_model(model))


def _line(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _model(model: types.ModelInfo) -> Json:
    names, patterns = _names(model.match)
    listed: Json = {"model": model.id}
    if names != [model.id.lower()]:
        listed["names"] = names
    if patterns:
        listed["patterns"] = patterns
    listed["prices"] = [*_standard(model), *_tiers(model)]
    return listed


def _names(match: Any) -> tuple[list[str], list[list[str]]]:
    """A match as names that are equal, and patterns of which every part must hold."""
    names: list[str] = []
    patterns: list[list[str]] = []
    for clause in match.or_ if isinstance(match, types.ClauseOr) else [match]:
        if isinstance(clause, types.ClauseEquals):
            names.append(clause.equals.lower())
        elif isinstance(clause, types.ClauseAnd):
            patterns.append([_part(part) for part in clause.and_])
        else:
            patterns.append([_part(clause)])
    return list(dict.fromkeys(names)), patterns


def _part(clause: Any) -> str:
    if isinstance(clause, types.ClauseStartsWith):
        return "^" + clause.starts_with.lower()
    if isinstance(clause, types.ClauseEndsWith):
        return "$" + clause.ends_with.lower()
    if isinstance(clause, types.ClauseContains):
        return "~" + clause.contains.lower()
    if isinstance(clause, types.ClauseRegex):
        return "/" + clause.regex
    raise TypeError(f"a kind of match this script doesn't know: {clause!r}")


def _standard(model: types.ModelInfo) -> Iterator[Json]:
    """The standard prices; a later one in the list wins where several hold."""
    for conditional in _conditional(model):
        constraint = conditional.constraint
        price: Json = {}
        if isinstance(constraint, types.StartDateConstraint):
            price["from"] = constraint.start_date.isoformat()
        elif isinstance(constraint, types.TimeOfDateConstraint):
            price["daily"] = [f"{constraint.start_time:%H:%M}", f"{constraint.end_time:%H:%M}"]
        yield price | _rates(conditional.prices)


def _conditional(model: types.ModelInfo) -> list[types.ConditionalPrice]:
    if isinstance(model.prices, list):
        return model.prices
    return [types.ConditionalPrice(prices=model.prices)]


def _tiers(model: types.ModelInfo) -> Iterator[Json]:
    for tier, contexts in TIERS.items():
        for context in contexts:
            variants = [v for v in model.price_variants or () if v.when == context]
            if any(v.prices.__dict__ for v in variants):
                yield from _tier(model, tier, context, variants)
                break


def _tier(
    model: types.ModelInfo, tier: str, context: dict[str, str], variants: list[types.PriceVariant]
) -> Iterator[Json]:
    """A tier's whole prices by date, standard ones filled in where the tier has none.

    Tier prices are listed from the day somebody verified them, so the first is taken to hold
    for as long before that day as the standard price was the same; earlier there is no price.
    """
    dated = [v.constraint for v in variants if isinstance(v.constraint, types.StartDateConstraint)]
    starts = {constraint.start_date for constraint in dated}
    undated = any(v.constraint is None for v in variants)
    changes = [
        c.constraint.start_date
        for c in _conditional(model)
        if isinstance(c.constraint, types.StartDateConstraint)
    ]
    verified = date.min if undated else min(starts)
    known_from = max((day for day in changes if day <= verified), default=date.min)
    before = None
    for day in sorted({known_from, *(d for d in (*changes, *starts) if d > known_from)}):
        price = _rates(model.get_prices(_noon(max(day, verified)), context))
        if price != before:
            since = {} if day == date.min else {"from": day.isoformat()}
            yield {"tier": tier} | since | price
        before = price


def _noon(day: date) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight + timedelta(hours=12)


def _rates(price: types.ModelPrice) -> Json:
    listed = {key: value for key, value in price.__dict__.items() if value is not None}
    rates: Json = {}
    if tokens := {key: value for key, value in listed.items() if key in TOKEN_KEYS}:
        rates["rates"] = _at(tokens, 0)
        thresholds = sorted({t.start for v in tokens.values() for t in _context_tiers(v)})
        if thresholds:
            rates["above"] = [[start, _at(tokens, start + 1)] for start in thresholds]
    if calls := {
        CALL_KEYS[k]: _whole(v, PER_THOUSAND) for k, v in listed.items() if k in CALL_KEYS
    }:
        rates["calls"] = calls
    if REQUEST_KEY in listed:
        rates["request"] = _whole(listed[REQUEST_KEY], PER_THOUSAND)
    known = {*TOKEN_KEYS, *CALL_KEYS, REQUEST_KEY, *PART_OF_A_BUCKET}
    if uncounted := sorted(key for key in listed if key not in known):
        rates["uncounted"] = [_unit(key) for key in uncounted]
    return rates


def _context_tiers(value: Decimal | types.TieredPrices) -> Iterable[types.Tier]:
    return value.tiers if isinstance(value, types.TieredPrices) else ()


def _at(tokens: dict[str, Decimal | types.TieredPrices], total_input: int) -> dict[str, int]:
    """Picodollars per token for a call with this many input tokens in all."""
    rates = {}
    for key, value in tokens.items():
        price = value.base if isinstance(value, types.TieredPrices) else value
        for tier in _context_tiers(value):
            if total_input > tier.start:
                price = tier.price
        rates[TOKEN_KEYS[key]] = _whole(price, PER_MILLION)
    return rates


def _whole(price: Decimal | types.TieredPrices, per: int) -> int:
    if isinstance(price, types.TieredPrices):
        raise TypeError("only tokens are priced by the length of the context")
    return int((price * PICODOLLARS / per).to_integral_value(ROUND_HALF_EVEN))


def _unit(key: str) -> str:
    for ending in ("_mtok", "_hours", "_kpages", "_kcount"):
        key = key.removesuffix(ending)
    return {"input_mchars": "characters", "audio": "hours of audio"}.get(key, key.replace("_", " "))


if __name__ == "__main__":
    TARGET.write_text("".join(f"{line}\n" for line in catalog_lines()), encoding="utf-8")
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")  # noqa: T201 - a script prints

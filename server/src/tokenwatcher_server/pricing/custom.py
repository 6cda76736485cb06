"""The operator's own prices: kept in the control database, set and removed, never overwritten.

A price names a provider and a pattern for models, and holds from a date until a later one for
the same pattern. Removing one only stops it from pricing anything more: what it priced keeps
its cost and its rate line.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.tables import custom_prices
from tokenwatcher_server.kernel.errors import Issue, invalid, not_found
from tokenwatcher_server.kernel.ids import new_id
from tokenwatcher_server.kernel.money import picodollars
from tokenwatcher_server.pricing.match import Spelling, canonical_provider
from tokenwatcher_server.pricing.price import tool_name
from tokenwatcher_server.pricing.rates import (
    STANDARD,
    TOKEN_KINDS,
    RateLine,
    bucket_rates,
    identified,
)
from tokenwatcher_server.pricing.tiers import canonical_tier

ANY: Final = "*"
PER_MILLION: Final = 10**6
# a call holds at most 50 million tokens of either kind: no price may overflow a 64-bit sum
MOST_PER_MILLION: Final = Decimal(10_000)
MOST_PER_CALL: Final = Decimal(1_000)
_CALL = "call:"
_TIER = "tier"


class CustomPrice(msgspec.Struct, frozen=True, kw_only=True):
    """One price of the operator's. Rates are picodollars: per token, per call, per hour."""

    id: str
    provider: str
    model_pattern: str
    """A model's name, with `*` at either end for any text there; case doesn't matter."""
    valid_from: int
    tokens: dict[str, int]
    calls: dict[str, int] = {}
    per_request: int = 0
    per_hour: int = 0
    service_tier: str | None = None
    """The only tier it is for, or None for all."""
    note: str = ""
    created_at: int
    removed_at: int | None = None


def per_token(dollars_per_million: str, kind: str) -> int:
    """Picodollars for a token, from dollars for a million; exact or an AppError."""
    amount = _amount(dollars_per_million, kind, MOST_PER_MILLION)
    if amount % PER_MILLION:
        raise _wrong(kind, "a token must cost a whole number of picodollars: at most 6 decimals")
    return amount // PER_MILLION


def per_unit(dollars: str, name: str) -> int:
    """Picodollars for a call or an hour, from dollars; exact or an AppError."""
    return _amount(dollars, name, MOST_PER_CALL)


def new_price(
    *,
    provider: str,
    model_pattern: str,
    valid_from: int,
    now_us: int,
    tokens: Mapping[str, str],
    calls: Mapping[str, str],
    per_request: str | None = None,
    per_hour: str | None = None,
    service_tier: str | None = None,
    note: str = "",
) -> CustomPrice:
    """Make a price of decimal dollars (per million tokens, per call, per hour).

    Raises AppError naming the rate, pattern or provider that is wrong.
    """
    charged = per_request is not None or per_hour is not None
    if not tokens and not charged:
        raise invalid("Give a price: --input, --per-request, --per-hour, or --free.")
    if tokens and "input" not in tokens:
        raise _wrong("input", "is needed: input of any kind without its own rate is priced by it")
    if unknown := sorted(tokens.keys() - TOKEN_KINDS):
        raise _wrong(unknown[0], "is not a kind of tokens")
    return CustomPrice(
        id=new_id(),
        provider=_provider(provider),
        model_pattern=_pattern(model_pattern),
        valid_from=valid_from,
        tokens={kind: per_token(text, kind) for kind, text in tokens.items()}
        or {"input": 0, "output": 0},
        calls={tool_name(name): per_unit(text, name) for name, text in calls.items()},
        per_request=per_unit(per_request or "0", "per-request"),
        per_hour=per_unit(per_hour or "0", "per-hour"),
        service_tier=None if service_tier is None else canonical_tier(service_tier),
        note=note[:300],
        created_at=now_us,
    )


async def set_price(connection: AsyncConnection, price: CustomPrice) -> None:
    await connection.execute(
        insert(custom_prices).values(
            id=price.id,
            provider=price.provider,
            model_pattern=price.model_pattern,
            valid_from=price.valid_from,
            rates=msgspec.json.encode(_rates_as_text(price)).decode(),
            note=price.note,
            created_at=price.created_at,
            removed_at=None,
        )
    )


async def list_prices(
    connection: AsyncConnection, *, with_removed: bool = False
) -> tuple[CustomPrice, ...]:
    """The prices by provider, pattern and date."""
    query = select(custom_prices).order_by(
        custom_prices.c.provider, custom_prices.c.model_pattern, custom_prices.c.valid_from
    )
    if not with_removed:
        query = query.where(custom_prices.c.removed_at.is_(None))
    return tuple(_from_row(row) for row in await connection.execute(query))


async def remove_price(connection: AsyncConnection, price_id: str, now_us: int) -> CustomPrice:
    """Stop a price from pricing anything more. Raises AppError where there is none to remove."""
    row = (
        await connection.execute(select(custom_prices).where(custom_prices.c.id == price_id))
    ).one_or_none()
    if row is None or row.removed_at is not None:
        raise not_found(f"There is no custom price with the id {price_id}.")
    await connection.execute(
        update(custom_prices).where(custom_prices.c.id == price_id).values(removed_at=now_us)
    )
    return msgspec.structs.replace(_from_row(row), removed_at=now_us)


def applicable(
    prices: Sequence[CustomPrice], spellings: Sequence[Spelling], said_provider: str, tier: str
) -> list[CustomPrice]:
    """The prices for a model in a tier, the most particular first, then the newest."""
    providers = {canonical_provider(said_provider), *(s.provider for s in spellings)}
    names = {s.name for s in spellings}
    fitting = [
        price
        for price in prices
        if price.removed_at is None
        and price.service_tier in (None, tier)
        and (price.provider == ANY or price.provider in providers)
        and any(_fits(price.model_pattern, name) for name in names)
    ]
    return sorted(fitting, key=_particularity, reverse=True)


def rate_line(price: CustomPrice) -> RateLine:
    return identified(
        RateLine(
            provider=price.provider,
            model=price.model_pattern,
            service_tier=price.service_tier or STANDARD,
            rates=bucket_rates(price.tokens),
            calls=price.calls,
            per_request=price.per_request,
            per_hour=price.per_hour,
            valid_from=price.valid_from,
            source="custom price",
            source_version=price.id,
        )
    )


def _fits(pattern: str, name: str) -> bool:
    literal = pattern.strip(ANY)
    if pattern.startswith(ANY):
        return literal in name if pattern.endswith(ANY) else name.endswith(literal)
    return name.startswith(literal) if pattern.endswith(ANY) else name == literal


def _particularity(price: CustomPrice) -> tuple[bool, int, bool, bool, int, int, str]:
    literal = price.model_pattern.strip(ANY)
    return (
        ANY not in price.model_pattern,
        len(literal),
        price.provider != ANY,
        price.service_tier is not None,
        price.valid_from,
        price.created_at,
        price.id,
    )


def _provider(said: str) -> str:
    name = said.strip()
    if name == ANY:
        return ANY
    if not 1 <= len(name) <= 50 or ANY in name:
        raise _wrong("provider", "must be a provider's name, or * for any")
    return canonical_provider(name)


def _pattern(said: str) -> str:
    pattern = said.strip().lower()
    if not 1 <= len(pattern) <= 300:
        raise _wrong("model", "must have 1 to 300 characters")
    if ANY in pattern.removeprefix(ANY).removesuffix(ANY):
        raise _wrong("model", "can have * only at its beginning or end")
    return pattern


def _amount(dollars: str, name: str, most: Decimal) -> int:
    try:
        amount = picodollars(dollars)
    except ValueError as error:
        raise _wrong(name, str(error)) from None
    if not 0 <= amount <= picodollars(most):
        raise _wrong(name, f"must be from 0 to {most:,} dollars")
    return amount


def _wrong(path: str, message: str) -> Exception:
    return invalid(f"{path}: {message}.", Issue(path, message), code="INVALID_PRICE")


def _rates_as_text(price: CustomPrice) -> dict[str, str]:
    """Text, because a reader of JSON may hold numbers as floats."""
    rates = {kind: str(rate) for kind, rate in price.tokens.items()}
    rates |= {_CALL + name: str(rate) for name, rate in price.calls.items()}
    rates |= {"request": str(price.per_request), "hour": str(price.per_hour)}
    return rates if price.service_tier is None else rates | {_TIER: price.service_tier}


def _from_row(row: Row[tuple[object, ...]]) -> CustomPrice:
    text = msgspec.json.decode(row.rates, type=dict[str, str])
    return CustomPrice(
        id=row.id,
        provider=row.provider,
        model_pattern=row.model_pattern,
        valid_from=row.valid_from,
        tokens={kind: int(rate) for kind, rate in text.items() if kind in TOKEN_KINDS},
        calls={k.removeprefix(_CALL): int(v) for k, v in text.items() if k.startswith(_CALL)},
        per_request=int(text["request"]),
        per_hour=int(text["hour"]),
        service_tier=text.get(_TIER),
        note=row.note,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )

"""What a provider says it charged, in whole picodollars (1e-12 USD)."""

from __future__ import annotations

import re
from typing import Any

_PER_USD = 10**12
_DECIMALS = 12
_MOST = 1_000_000 * _PER_USD
_NUMBER = re.compile(r"\s*\+?([0-9]{0,40})(?:\.([0-9]{0,400}))?(?:[eE]([+-]?[0-9]{1,3}))?\s*")


def picodollars(value: Any, *, per_usd: int = 1) -> int | None:
    """Read an amount: a number or its text, in US dollars or a fraction of them.

    Rounded to the nearest, as a provider's float carries noise beyond that
    (0.0076509169000000005). None for what is no amount, is negative or beyond a million dollars.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = _NUMBER.fullmatch(str(value))
    if found is None:
        return None
    whole, fraction, exponent = found[1], found[2] or "", int(found[3] or 0)
    if not whole and not fraction:
        return None
    power = exponent - len(fraction) + _DECIMALS
    amount = int(whole + fraction) * 10 ** max(power, 0)
    parts = per_usd * 10 ** max(-power, 0)
    rounded, rest = divmod(amount, parts)
    if 2 * rest > parts or (2 * rest == parts and rounded % 2):
        rounded += 1
    return rounded if rounded <= _MOST else None


def usd_text(amount: int | None) -> str | None:
    """Give picodollars as a plain decimal number of US dollars."""
    if amount is None:
        return None
    whole, rest = divmod(amount, _PER_USD)
    return f"{whole}.{rest:0{_DECIMALS}d}".rstrip("0").rstrip(".")

"""Money is an integer of picodollars (10⁻¹² USD); floats never take part.

Every list price is a whole number of picodollars per unit, so a product is exact and a sum
never rounds. Text is made once, for display.
"""

from decimal import Decimal, InvalidOperation, localcontext

PICODOLLARS_PER_USD = 10**12
MAX_PICODOLLARS = 2**63 - 1


def picodollars(usd: str | int | Decimal) -> int:
    """Turn an amount in US dollars into picodollars.

    Raises ValueError where the amount is not finite or is finer than one picodollar.
    """
    try:
        amount = Decimal(usd)
    except InvalidOperation:
        raise ValueError(f"not an amount of money: {str(usd)[:40]!r}") from None
    if not amount.is_finite():
        raise ValueError("an amount of money must be finite")
    if amount.adjusted() > 24:
        raise ValueError("the amount is too large")
    with localcontext(prec=60):
        scaled = amount * PICODOLLARS_PER_USD
        whole = int(scaled)
        if scaled != whole:
            raise ValueError("an amount can't be finer than a picodollar (12 decimals)")
    return whole


def usd(amount: int) -> Decimal:
    """Give picodollars as an exact Decimal of US dollars."""
    with localcontext(prec=60):
        return Decimal(amount).scaleb(-12)


def usd_text(amount: int) -> str:
    """Give picodollars as exact decimal text without an exponent or trailing zeros: `0.00123`."""
    whole, fraction = divmod(abs(amount), PICODOLLARS_PER_USD)
    sign = "-" if amount < 0 else ""
    digits = f"{fraction:012d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def usd_number(amount: int) -> float:
    """Give picodollars as the nearest JSON number; always sent beside the exact text."""
    return amount / PICODOLLARS_PER_USD  # Python rounds a quotient of integers correctly

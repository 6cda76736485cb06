"""Numbers as people read them. Whoever shows one of these shows the exact value on hover."""

from datetime import date

from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD, usd_text

THIN = "\N{NARROW NO-BREAK SPACE}"
NO_PRICE = "no price"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def money_parts(amount: int | None) -> tuple[str, str]:
    """Split an amount into what is strong and what is quiet: `("$4,688", ".50")`.

    From a dollar up it is rounded to cents, which are quiet. Below that it has four decimals or
    four significant digits, all of them strong, so that a small cost never reads as nothing.
    None is `no price`.
    """
    if amount is None:
        return NO_PRICE, ""
    sign, size = ("−", -amount) if amount < 0 else ("", amount)
    if size and size < PICODOLLARS_PER_USD:
        return f"{sign}{_small(size)}", ""
    whole, cents = divmod(_rounded(size, PICODOLLARS_PER_USD // 100), 100)
    return f"{sign}${whole:,}", f".{cents:02d}"


def money(amount: int | None) -> str:
    return "".join(money_parts(amount))


def rate(amount: int) -> str:
    """A price as a price list has it, exact: `$5.00`, `$0.075`."""
    whole, _, fraction = usd_text(amount).partition(".")
    return f"${whole}.{fraction:0<2}"


def money_short(amount: int) -> str:
    """An amount in few characters, for an axis: `$0`, `$0.25`, `$50`, `$1.5k`."""
    for size, suffix in ((10**6, "M"), (10**3, "k")):
        if amount >= size * PICODOLLARS_PER_USD:
            return f"${_trimmed(amount, size * PICODOLLARS_PER_USD)}{suffix}"
    if 0 < amount < PICODOLLARS_PER_USD:
        return rate(amount)
    return money(amount).removesuffix(".00")


def count(number: float) -> str:
    """A number of things, whole: a median may lie between two."""
    return f"{round(number):,}"


def count_short(number: int) -> str:
    """A large number in few characters: `1.24 B`, `12.4 M`, `8.1 k`; exact below 10,000."""
    if abs(number) < 10_000:
        return f"{number:,}"
    for size, suffix in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if abs(number) >= size:
            return f"{_trimmed(number, size)}{THIN}{suffix}"
    raise AssertionError(number)


def duration_parts(milliseconds: float | None) -> tuple[str, str]:
    """Split a duration into number and unit: `("4.6", "s")`; None is an em dash."""
    if milliseconds is None:
        return "—", ""
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}", "ms"
    if milliseconds < 99_950:
        return f"{milliseconds / 1000:.1f}", "s"
    return f"{milliseconds / 60_000:.1f}", "min"


def duration(milliseconds: float | None) -> str:
    number, unit = duration_parts(milliseconds)
    return f"{number}{THIN}{unit}" if unit else number


def share(part: int | None, whole: int | None) -> str:
    """A part of a whole in percent; an em dash where there is no whole."""
    if part is None or not whole:
        return "—"
    tenths = _rounded(part * 1000, whole)
    if part and not tenths:
        return f"<0.1{THIN}%"
    return f"{tenths // 10}.{tenths % 10}{THIN}%" if tenths % 1000 else f"{tenths // 10}{THIN}%"


def change(now: int | None, before: int | None) -> int | None:
    """By how many percent `now` differs from `before`; None where nothing can be compared."""
    if now is None or not before:
        return None
    difference = _rounded(abs(now - before) * 100, abs(before))
    return difference if now >= before else -difference


def change_text(percent: int) -> str:
    """A change with its sign: `+38 %`, `−6 %`; above tenfold as a factor."""
    if percent >= 1000:
        return f"×{percent / 100 + 1:.0f}"
    sign = "+" if percent > 0 else "−" if percent < 0 else "±"
    return f"{sign}{abs(percent)}{THIN}%"


def day_text(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}"


def _small(size: int) -> str:
    """An amount under a dollar, to four significant digits and at least four decimals."""
    digits = min(12, 16 - len(str(size)))
    whole, fraction = divmod(_rounded(size, 10 ** (12 - digits)), 10**digits)
    kept = f"{fraction:0{digits}d}"
    return f"${whole}.{kept[:4]}{kept[4:].rstrip('0')}"


def _rounded(number: int, unit: int) -> int:
    """Divide to the nearest whole, halves to even."""
    quotient, rest = divmod(number, unit)
    if rest * 2 > unit or (rest * 2 == unit and quotient % 2):
        quotient += 1
    return quotient


def _trimmed(number: int, unit: int) -> str:
    """Three significant digits of a quotient of 1 or more, without trailing zeros."""
    sign, number = ("−", -number) if number < 0 else ("", number)
    digits = max(0, 3 - len(str(number // unit)))
    scaled = _rounded(number * 10**digits, unit)
    whole, fraction = divmod(scaled, 10**digits)
    tail = f"{fraction:0{digits}d}".rstrip("0") if digits else ""
    return f"{sign}{whole:,}.{tail}" if tail else f"{sign}{whole:,}"

"""Numbers as people read them: rounded once, and never to something they are not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.kernel.money import picodollars, usd
from tokenwatcher_server.usage.text import (
    THIN,
    change,
    change_text,
    count_short,
    duration,
    money,
    money_parts,
    money_short,
    rate,
    share,
)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("4688.5", "$4,688.50"),
        ("4688.505", "$4,688.50"),
        ("4688.515", "$4,688.52"),
        ("1", "$1.00"),
        ("0.25", "$0.2500"),
        ("0.03174", "$0.03174"),
        ("0.031745", "$0.03174"),
        ("0.0000312", "$0.0000312"),
        ("0.000000000001", "$0.000000000001"),
        ("0.99996", "$1.0000"),
        ("-12.345", "−$12.34"),
        ("1000000", "$1,000,000.00"),
    ],
)
def test_money_has_the_digits_that_matter(amount: str, text: str) -> None:
    assert money(picodollars(amount)) == text


def test_what_has_no_price_is_not_zero() -> None:
    assert money(None) == "no price"


def test_cents_are_quiet_and_small_amounts_are_not() -> None:
    assert money_parts(picodollars("12.3")) == ("$12", ".30")
    assert money_parts(picodollars("0.0317")) == ("$0.0317", "")


@given(st.integers(1, 10**24))
def test_money_on_the_page_is_within_half_of_its_last_digit(amount: int) -> None:
    shown = Decimal(money(amount).lstrip("$").replace(",", ""))
    exact = usd(amount)
    assert shown > 0
    assert abs(shown - exact) <= (Decimal("0.005") if exact >= 1 else exact * Decimal("0.0005"))


@given(st.integers(0, 10**18))
def test_a_rate_is_exact(amount: int) -> None:
    assert picodollars(rate(amount).lstrip("$")) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0"), ("0.1", "$0.10"), ("0.025", "$0.025"), ("50", "$50"), ("2.5", "$2.50"),
     ("1500", "$1.5k"), ("2000000", "$2M")],
)  # fmt: skip
def test_an_axis_is_short(amount: str, text: str) -> None:
    assert money_short(picodollars(amount)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (9_999, "9,999"), (10_000, f"10{THIN}k"), (128_400_000, f"128{THIN}M"),
     (1_240_000_000, f"1.24{THIN}B"), (7 * 10**15, f"7,000{THIN}T")],
)  # fmt: skip
def test_large_counts_are_short(number: int, text: str) -> None:
    assert count_short(number) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, "—"), (0, f"0{THIN}ms"), (820.4, f"820{THIN}ms"), (999.6, f"1.0{THIN}s"),
     (4_560, f"4.6{THIN}s"), (120_000, f"2.0{THIN}min")],
)  # fmt: skip
def test_durations_have_the_unit_that_fits(milliseconds: float | None, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(1, 3, "33.3"), (1, 1, "100"), (0, 5, "0"), (1, 100_000, "<0.1"), (999, 1000, "99.9")],
)
def test_a_share_that_is_not_nothing_never_reads_as_nothing(
    part: int, whole: int, text: str
) -> None:
    assert share(part, whole) == f"{text}{THIN}%"


def test_there_is_no_share_of_nothing() -> None:
    assert share(0, 0) == "—"
    assert share(None, 5) == "—"


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [
        (112, 100, 12),
        (88, 100, -12),
        (0, 100, -100),
        (5, 0, None),
        (None, 5, None),
        (5, None, None),
    ],
)
def test_a_change_needs_something_to_compare_with(
    now: int | None, before: int | None, percent: int | None
) -> None:
    assert change(now, before) == percent


def test_a_change_says_its_direction_and_a_multiple_when_it_is_one() -> None:
    assert change_text(38) == f"+38{THIN}%"
    assert change_text(-6) == f"−6{THIN}%"
    assert change_text(0) == f"±0{THIN}%"
    assert change_text(1400) == "×15"

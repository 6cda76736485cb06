"""What a provider says it charged is read exactly, whatever number it is written as."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher.usage.money import picodollars, usd_text

AMOUNTS = st.decimals(0, 1_000_000, places=12) | st.decimals(0, 1, places=20)


@given(AMOUNTS)
def test_an_amount_is_rounded_to_the_nearest_picodollar(amount: Decimal) -> None:
    expected = int((amount * 10**12).to_integral_value())
    assert picodollars(str(amount)) == picodollars(f"{amount:e}") == expected


@given(st.floats(0, 999_999))
def test_a_float_is_read_as_it_is_written(amount: float) -> None:
    assert picodollars(amount) == int((Decimal(str(amount)) * 10**12).to_integral_value())


@given(st.integers(0, 10**18))
def test_a_text_of_dollars_is_read_back(amount: int) -> None:
    assert picodollars(usd_text(amount)) == amount


@pytest.mark.parametrize(
    "value",
    [None, True, -1, -0.5, "", ".", "free", "1,5", "nan", "1_0", "0x1", float("inf"), float("nan"),
     1_000_001, 10**50, 1e300, "9" * 5000, "1e999", {"cost": 1}],
)  # fmt: skip
def test_what_is_no_amount_is_none(value: Any) -> None:
    assert picodollars(value) is None


def test_noise_of_a_float_is_left_out() -> None:
    assert usd_text(picodollars(0.0076509169000000005)) == "0.0076509169"
    assert usd_text(picodollars(2500, per_usd=10**10)) == "0.00000025"
    assert usd_text(picodollars(0)) == "0"
    assert usd_text(None) is None

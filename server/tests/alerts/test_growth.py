"""A feature's prompts are held against its own month, and one odd day moves nothing."""

from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.alerts.growth import KNOWN_DAYS, LEAST_CALLS, growth, known
from tokenwatcher_server.kernel.clock import DAY_US

TODAY = 20_000 * DAY_US


def steady(tokens: float, days: int = KNOWN_DAYS) -> dict[int, float]:
    return {TODAY - back * DAY_US: tokens for back in range(1, days + 1)}


def test_growth_is_in_hundredths_of_a_percent_of_the_usual() -> None:
    assert growth(steady(1_000) | {TODAY: 1_505}, TODAY) == 5_050
    assert growth(steady(1_000) | {TODAY: 1_000}, TODAY) == 0
    assert growth(steady(1_000) | {TODAY: 10}, TODAY) == 0


def test_a_few_odd_days_are_not_the_usual() -> None:
    odd = {TODAY - back * DAY_US: 90_000.0 for back in (1, 8, 9)}
    assert growth(steady(1_000) | odd | {TODAY: 1_200}, TODAY) == 2_000


def test_nothing_is_said_before_a_week_is_known_or_without_enough_calls() -> None:
    assert growth(steady(1_000, 6) | {TODAY: 9_000}, TODAY) is None
    assert growth(steady(1_000, 7) | {TODAY: 9_000}, TODAY) == 80_000
    assert growth(steady(1_000), TODAY) is None
    assert growth(steady(0) | {TODAY: 9}, TODAY) is None
    assert known(LEAST_CALLS - 1, 500.0) is None
    assert known(LEAST_CALLS, 500.0) == 500.0


def test_what_is_older_than_a_month_is_forgotten() -> None:
    old = {TODAY - back * DAY_US: 50.0 for back in range(KNOWN_DAYS + 1, 90)}
    assert growth(steady(1_000) | old | {TODAY: 1_100}, TODAY) == 1_000


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_longer_prompt_has_never_grown_less(usual: int, now: int, more: int) -> None:
    lower, higher = (growth(steady(usual) | {TODAY: one}, TODAY) for one in (now, now + more))
    assert lower is not None
    assert higher is not None
    assert 0 <= lower <= higher

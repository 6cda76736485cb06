"""An unusual hour is found among hours that scatter, grow, spike and go missing."""

import math
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.alerts.anomaly import HISTORY_US, excess
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD

DOCS = Path(__file__).parents[3] / "docs" / "alerts.md"
NOW = 2_950 * 7 * DAY_US + 34 * HOUR_US
FLOOR = PICODOLLARS_PER_USD
SERIES = 3_000


def series(seed: int) -> tuple[dict[int, int], bool]:
    """Five weeks of made-up hours up to NOW, and whether the last one is unusual.

    Days and weekends, noise, growth, one hour in thirty that cost eight times as much, one in
    forty without any event. The unusual hour costs four times what it would.
    """
    chance = random.Random(seed)
    level, growth = chance.uniform(2, 40), chance.uniform(1.0, 1.15)
    shift, noise = chance.randrange(7 * 24), chance.uniform(0.05, 0.3)
    unusual = chance.random() < 0.5
    hours: dict[int, int] = {}
    for back in range(5 * 7 * 24, -1, -1):
        place = (shift - back) % (7 * 24)
        daily = 1 + 0.8 * math.sin(2 * math.pi * (place % 24) / 24)
        weekend = 0.35 if place // 24 >= 5 else 1.0
        cost = level * daily * weekend * growth ** (-back / 168) * chance.lognormvariate(0, noise)
        if back and chance.random() < 1 / 30:
            cost *= 8
        if back and chance.random() < 1 / 40:
            cost = 0
        if not back and unusual:
            cost *= 4
        hours[NOW - back * HOUR_US] = round(cost * PICODOLLARS_PER_USD)
    return hours, unusual


def test_the_stated_precision_and_recall_are_those_measured() -> None:
    found = [(excess(*given), label) for given, label in map(labelled, range(SERIES))]
    told = [label for value, label in found if (value or 0) >= FLOOR]
    precision = 100 * sum(told) / len(told)
    recall = 100 * sum(told) / sum(label for _, label in found)
    stated = re.search(r"precision of ([0-9.]+) % and a recall of ([0-9.]+) %", DOCS.read_text())
    assert stated is not None
    assert (f"{precision:.1f}", f"{recall:.1f}") == stated.groups()


def labelled(seed: int) -> tuple[tuple[dict[int, int], int], bool]:
    hours, unusual = series(seed)
    return (hours, NOW), unusual


def flat(cost: int) -> dict[int, int]:
    return {NOW - back * HOUR_US: cost for back in range(1, HISTORY_US // HOUR_US)}


def test_an_hour_is_measured_against_the_usual_and_not_its_outliers() -> None:
    hours = flat(100)
    for week in (1, 2):
        hours[NOW - week * 7 * DAY_US] = 90_000
    assert excess(hours | {NOW: 200}, NOW) == 0
    assert excess(hours | {NOW: 201}, NOW) == 101


def test_spend_in_an_hour_that_never_had_any_is_unusual() -> None:
    quiet = {NOW - 20 * DAY_US - 12 * HOUR_US: 5}
    assert excess(quiet | {NOW: 7}, NOW) == 7
    assert excess(quiet, NOW) == 0


@pytest.mark.parametrize("hours", [{}, {NOW: 5}, {NOW - 13 * DAY_US: 5, NOW: 900}])
def test_nothing_is_usual_before_two_weeks_are_known(hours: dict[int, int]) -> None:
    assert excess(hours, NOW) is None


@given(st.integers(1, 10**15), st.integers(0, 10**16), st.integers(0, 10**15))
def test_more_is_never_less_unusual(usual: int, cost: int, more: int) -> None:
    hours = flat(usual)
    lower, higher = (excess(hours | {NOW: value}, NOW) for value in (cost, cost + more))
    assert lower is not None
    assert higher is not None
    assert 0 <= lower <= higher <= cost + more

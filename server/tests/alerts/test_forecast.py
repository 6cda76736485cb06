"""The month's forecast against made-up months whose end is known."""

import math
import random
import re
from pathlib import Path

from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.forecast import month_end

DOCS = Path(__file__).parents[3] / "docs" / "alerts.md"
MONTHS = 4_000
DOLLAR = 10**12


def month(seed: int) -> tuple[list[int], int]:
    """A month's days, and a budget that its end is up to 40 % away from.

    Weekends, noise, growth or decline up to a quarter over the month, a dear day now and then.
    """
    chance = random.Random(seed)
    level, trend = chance.uniform(5, 500), chance.uniform(-0.25, 0.25)
    noise, weekend = chance.uniform(0.05, 0.3), chance.uniform(0.3, 1.0)
    days, shift = chance.choice([28, 30, 31]), chance.randrange(7)
    costs = []
    for day in range(days):
        cost = level * (1 + trend * day / days) * chance.lognormvariate(0, noise)
        cost *= weekend if (day + shift) % 7 >= 5 else 1.0
        cost *= 4 if chance.random() < 1 / 60 else 1
        costs.append(round(cost * DOLLAR))
    return costs, round(sum(costs) * math.exp(chance.uniform(-0.34, 0.34)))


def measured(day: int) -> tuple[str, str]:
    """Precision and recall, in percent, of what a forecast at the end of a day says."""
    told = right = over = 0
    for seed in range(MONTHS):
        costs, budget = month(seed)
        whole = Period(0, len(costs) * DAY_US)
        forecast = month_end(sum(costs[:day]), whole, day * DAY_US)
        assert forecast is not None
        is_over = sum(costs) >= budget
        told += forecast >= budget
        right += forecast >= budget and is_over
        over += is_over
    return f"{100 * right / told:.1f}", f"{100 * right / over:.1f}"


def test_the_stated_precision_and_recall_are_those_measured() -> None:
    stated = re.findall(
        r"\| (\d+) \| ([0-9.]+) % \| ([0-9.]+) % \|", DOCS.read_text(encoding="utf-8")
    )
    assert [int(day) for day, _, _ in stated] == [3, 7, 14, 21]
    for day, precision, recall in stated:
        assert measured(int(day)) == (precision, recall), day

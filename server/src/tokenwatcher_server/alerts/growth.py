"""How much longer the median call's prompt is than it usually was. Pure.

1. A day has a median from twenty calls on.
2. The usual is the median of those of the thirty days before, of which seven must be known: one
   odd day does not move it, however many calls it had.
"""

from collections.abc import Mapping
from statistics import median
from typing import Final

from tokenwatcher_server.kernel.clock import DAY_US

KNOWN_DAYS: Final = 30
HISTORY_US: Final = (KNOWN_DAYS + 1) * DAY_US
"""One day more than is looked at, for the days of a zone that are longer than others."""
LEAST_CALLS: Final = 20
_LEAST_DAYS: Final = 7


def known(calls: int, tokens: float | None) -> float | None:
    """The day's median of input tokens, where it says something."""
    return None if calls < LEAST_CALLS else tokens


def growth(medians: Mapping[int, float], today: int) -> int | None:
    """How far the day that starts at `today` lies above the usual, in hundredths of a percent.

    `medians` are input tokens by the start of each day that has one. 0 where it lies below; None
    where today or the usual is not known.
    """
    days = sorted(day for day in medians if today - HISTORY_US < day < today)
    before = [medians[day] for day in days[-KNOWN_DAYS:]]
    now = medians.get(today)
    if now is None or len(before) < _LEAST_DAYS:
        return None
    usual = median(before)
    return None if usual <= 0 else max(0, round((now - usual) * 10_000 / usual))

"""How much more an hour costs than that hour usually does. Pure.

1. The usual is the median of the same hour of the week, and the hours beside it, in the four
   weeks before: twelve hours, of which a few may have been anything.
2. How far they scatter is their median distance from it, scaled to a standard deviation, and at
   least a quarter of the usual.
3. An hour that lies further out than four times that is unusual, by all that it costs more.
"""

from collections.abc import Mapping
from statistics import median
from typing import Final

from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US

WEEKS: Final = 4
HISTORY_US: Final = WEEKS * 7 * DAY_US + HOUR_US
_BESIDE: Final = (-1, 0, 1)
_LEAST_KNOWN_US: Final = 14 * DAY_US
_TO_DEVIATION: Final = 1.4826
"""What a median distance is multiplied with to be a standard deviation of what is normal."""
_LEAST_SCATTER: Final = 0.25
_FAR: Final = 4


def excess(hours: Mapping[int, int], now_hour: int) -> int | None:
    """What the hour that begins at `now_hour` costs beyond the usual, 0 where it is not unusual.

    `hours` are picodollars by the start of each hour; one that is missing had none. None while
    less than two weeks are known: nothing is usual yet.
    """
    known = [hour for hour, cost in hours.items() if cost and hour < now_hour]
    if not known or now_hour - min(known) < _LEAST_KNOWN_US:
        return None
    before = [
        hours.get(now_hour - week * 7 * DAY_US + beside * HOUR_US, 0)
        for week in range(1, WEEKS + 1)
        for beside in _BESIDE
    ]
    usual = round(median(before))
    distance = median(abs(cost - usual) for cost in before)
    scatter = max(distance * _TO_DEVIATION, usual * _LEAST_SCATTER)
    cost = hours.get(now_hour, 0)
    return cost - usual if cost > usual + _FAR * scatter else 0

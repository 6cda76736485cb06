"""Half-open stretches of time, and how they fall into hours, days and months of a zone."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.kernel.clock import DAY_US, to_datetime, to_us

Interval = Literal["hour", "day", "month"]
UTC_ZONE = ZoneInfo("UTC")


class Period(msgspec.Struct, frozen=True):
    """From `start_us` up to but not including `end_us`."""

    start_us: int
    end_us: int

    def __post_init__(self) -> None:
        if self.end_us <= self.start_us:
            raise ValueError("a period must end after it starts")

    @property
    def length_us(self) -> int:
        return self.end_us - self.start_us

    def before(self) -> "Period":
        """The period of the same length that ends where this one starts."""
        return Period(self.start_us - self.length_us, self.start_us)


def is_zone(name: str) -> bool:
    """Whether the time zone database knows the name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def day_start(day: date, zone: ZoneInfo = UTC_ZONE) -> int:
    return to_us(datetime.combine(day, time.min, tzinfo=zone))


def day_of(instant_us: int, zone: ZoneInfo = UTC_ZONE) -> date:
    return to_datetime(instant_us).astimezone(zone).date()


def one_day(day: date, zone: ZoneInfo = UTC_ZONE) -> Period:
    return Period(day_start(day, zone), day_start(day + timedelta(days=1), zone))


def last_days(count: int, now_us: int, zone: ZoneInfo = UTC_ZONE) -> Period:
    """`count` whole days of the zone, the last of them the day `now_us` falls in."""
    today = day_of(now_us, zone)
    return Period(
        day_start(today - timedelta(days=count - 1), zone),
        day_start(today + timedelta(days=1), zone),
    )


def month_of(instant_us: int, zone: ZoneInfo = UTC_ZONE) -> Period:
    first = day_of(instant_us, zone).replace(day=1)
    return Period(day_start(first, zone), day_start(_next_month(first), zone))


def bucket_starts(period: Period, interval: Interval, zone: ZoneInfo = UTC_ZONE) -> Iterator[int]:
    """The start of every bucket the period touches, in order; the first may lie before it."""
    if interval == "hour":
        hour = DAY_US // 24
        yield from range(period.start_us // hour * hour, period.end_us, hour)
        return
    day = day_of(period.start_us, zone)
    if interval == "month":
        day = day.replace(day=1)
    while (start := day_start(day, zone)) < period.end_us:
        yield start
        day = day + timedelta(days=1) if interval == "day" else _next_month(day)


def _next_month(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1)

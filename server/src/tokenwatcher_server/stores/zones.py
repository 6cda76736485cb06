"""The offsets of a zone over a period, so that any engine can bucket by local time."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.kernel.clock import DAY_US, MICROSECONDS, to_datetime
from tokenwatcher_server.kernel.period import Period

_ONE_MICROSECOND = timedelta(microseconds=1)


class Offset(msgspec.Struct, frozen=True):
    """Local time is UTC plus `offset_us`, from `start_us` until the next one starts."""

    start_us: int
    offset_us: int


def offsets(period: Period, zone: ZoneInfo) -> list[Offset]:
    """Give the zone's offsets in order; the first holds from the period's start."""
    last = period.end_us - 1
    found = [Offset(period.start_us, _offset_at(period.start_us, zone))]
    known = period.start_us
    while known < last:
        step = min(known + DAY_US, last)
        offset = _offset_at(step, zone)
        if offset != found[-1].offset_us:
            found.append(Offset(_transition(known, step, zone), offset))
        known = step
    return found


def _transition(before: int, after: int, zone: ZoneInfo) -> int:
    """The first whole second between two instants at which the zone's offset is the later's."""
    target = _offset_at(after, zone)
    low, high = before // MICROSECONDS, -(-after // MICROSECONDS)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_at(middle * MICROSECONDS, zone) == target:
            high = middle
        else:
            low = middle
    return high * MICROSECONDS


def _offset_at(instant_us: int, zone: ZoneInfo) -> int:
    offset = to_datetime(instant_us).astimezone(zone).utcoffset()
    return (offset or timedelta()) // _ONE_MICROSECOND

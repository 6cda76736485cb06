"""The only place that reads the time. Instants are integers: microseconds since 1970, UTC."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

MICROSECONDS = 1_000_000
HOUR_US = 3_600 * MICROSECONDS
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    def now_us(self) -> int:
        """The present instant in microseconds since 1970, UTC."""
        ...


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


class FrozenClock:
    """A clock that moves only when told to; for tests and for made-up history."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance(self, *, seconds: float) -> None:
        self._now_us += round(seconds * MICROSECONDS)


def to_us(instant: datetime) -> int:
    """Give an aware datetime as microseconds; exact, unlike `datetime.timestamp`."""
    since = instant - _EPOCH
    return since.days * DAY_US + since.seconds * MICROSECONDS + since.microseconds


def to_datetime(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)


def iso(instant_us: int) -> str:
    """Give an instant as WIRE has it: `2026-05-01T00:00:00.000000Z`."""
    return to_datetime(instant_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

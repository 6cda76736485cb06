"""A period in whole days and hours that are over, and what is left of it."""

import msgspec

from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.kernel.period import Period


class Span(msgspec.Struct, frozen=True, order=True):
    """A day or an hour (UTC) of a workspace."""

    workspace_id: str
    start_us: int
    length_us: int

    @property
    def is_day(self) -> bool:
        return self.length_us == DAY_US

    @property
    def day(self) -> "Span":
        """The day it lies in."""
        return Span(self.workspace_id, self.start_us // DAY_US * DAY_US, DAY_US)


class Division(msgspec.Struct, frozen=True):
    """Hours that are over from `start_us` to `end_us`; days, none perhaps, in their middle."""

    start_us: int
    days_start_us: int
    days_end_us: int
    end_us: int

    def span(self, workspace_id: str, start_us: int) -> Span:
        """The span that starts there."""
        is_day = self.days_start_us <= start_us < self.days_end_us
        return Span(workspace_id, start_us, DAY_US if is_day else HOUR_US)

    def start_of(self, hour: str) -> str:
        """The start of the span that an hour lies in, as SQL."""
        return (
            f"case when {hour} >= {self.days_start_us} and {hour} < {self.days_end_us}"
            f" then {hour} / {DAY_US} * {DAY_US} else {hour} end"
        )

    def rest(self, period: Period) -> list[Period]:
        """What is left of the period that was divided."""
        parts = ((period.start_us, self.start_us), (self.end_us, period.end_us))
        return [Period(start, end) for start, end in parts if start < end]


def divided(period: Period, now_us: int) -> Division | None:
    """Divide a period; None where no whole hour of it is over."""
    start = -(-period.start_us // HOUR_US) * HOUR_US
    end = min(period.end_us, now_us) // HOUR_US * HOUR_US
    if start >= end:
        return None
    first, last = -(-start // DAY_US) * DAY_US, end // DAY_US * DAY_US
    return Division(start, *((first, last) if first < last else (end, end)), end)

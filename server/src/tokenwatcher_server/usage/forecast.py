"""Where the month is heading, by its own run-rate."""

from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import Period


def month_end(spent: int | None, month: Period, now_us: int) -> int | None:
    """The month's cost in picodollars if the rest of it goes on as it went so far.

    None on the month's first day, when too little has happened to say, and without a price.
    """
    elapsed = now_us - month.start_us
    if spent is None or not DAY_US <= elapsed <= month.length_us:
        return None
    return spent * month.length_us // elapsed

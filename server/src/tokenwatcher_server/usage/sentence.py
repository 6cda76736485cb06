"""A question and its answer in plain words: what a page says before it shows anything."""

from tokenwatcher_server.events.query import Filter
from tokenwatcher_server.kernel.period import Period, day_of
from tokenwatcher_server.usage.request import LastDays, UsageRequest, name_of
from tokenwatcher_server.usage.result import Totals
from tokenwatcher_server.usage.text import count, day_text, money


def lede(request: UsageRequest, period: Period, totals: Totals) -> str:
    """`$4,688.50 in the last 30 days over 348,098 calls`."""
    when, what = period_words(request, period), filter_words(request.filters)
    if not totals.calls:
        return f"No calls {when}{what}"
    calls = "1 call" if totals.calls == 1 else f"{count(totals.calls)} calls"
    if totals.cost is None:
        return f"{calls} {when}{what}, none of which has a price"
    return f"{money(totals.cost)} {when} over {calls}{what}"


def period_words(request: UsageRequest, period: Period) -> str:
    """`today`, `in the last 7 days`, `on May 1, 2026`, `from May 1 to May 3, 2026`."""
    if isinstance(request.window, LastDays):
        return "today" if request.window.count == 1 else f"in the last {request.window.count} days"
    first = day_of(period.start_us, request.zone)
    last = day_of(period.end_us - 1, request.zone)
    if first == last:
        return f"on {day_text(first)}, {first.year}"
    start = day_text(first) if first.year == last.year else f"{day_text(first)}, {first.year},"
    return f"from {start} to {day_text(last)}, {last.year}"


def period_name(request: UsageRequest, period: Period) -> str:
    """The period as a short heading: `Last 30 days`, `May 1`, `May 1 – Jun 3`."""
    if isinstance(request.window, LastDays):
        return "Today" if request.window.count == 1 else f"Last {request.window.count} days"
    first = day_text(day_of(period.start_us, request.zone))
    last = day_text(day_of(period.end_us - 1, request.zone))
    return first if first == last else f"{first} – {last}"


def filter_words(filters: tuple[Filter, ...]) -> str:
    """` where model is gpt-5.4 and feature is chat or search`; nothing without filters."""
    said = [f"{_name(wanted)} is {_values(wanted)}" for wanted in filters]
    return f" where {' and '.join(said)}" if said else ""


def _name(wanted: Filter) -> str:
    return wanted.dimension.tag_key or name_of(wanted.dimension)


def _values(wanted: Filter) -> str:
    return " or ".join("not given" if value is None else value or '""' for value in wanted.values)

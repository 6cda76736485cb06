"""Runs questions against the store, all of them in one round trip and on one snapshot."""

from collections.abc import Iterable, Iterator, Mapping
from zoneinfo import ZoneInfo

from tokenwatcher_server.events.query import UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import Interval, Period, bucket_starts
from tokenwatcher_server.usage.result import NOTHING, Line, Totals, line_of

Report = Mapping[str, list[Line]]


async def report(store: EventStore, questions: Mapping[str, UsageQuery]) -> Report:
    """Answer every question by its name."""
    answers = await store.usage(list(questions.values()))
    return {
        name: [line_of(question.measures, row) for row in rows]
        for (name, question), rows in zip(questions.items(), answers, strict=True)
    }


def only(lines: list[Line]) -> Totals:
    """The totals of an answer without groups; nothing where no event matched."""
    return lines[0].totals if lines else NOTHING


def filled(
    lines: Iterable[Line], period: Period, interval: Interval, zone: ZoneInfo
) -> Iterator[tuple[int, Totals]]:
    """Every bucket of the period in order, those without events as zeros."""
    known = {line.bucket_us: line.totals for line in lines}
    for start in bucket_starts(period, interval, zone):
        yield start, known.get(start, NOTHING)

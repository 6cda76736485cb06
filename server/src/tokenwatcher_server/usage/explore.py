"""Any measures by any dimensions: totals, groups, how they went over time, and the time before."""

from collections.abc import Mapping, Sequence
from typing import get_args

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Filter, Measure, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import Interval, Period, bucket_starts
from tokenwatcher_server.usage.overview import (
    interval_for,
    known_models_question,
    palette_of,
    time_before,
)
from tokenwatcher_server.usage.palette import ModelKey, colours
from tokenwatcher_server.usage.parameters import Parameters, Reader
from tokenwatcher_server.usage.report import Report, only, report
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.stats import question
from tokenwatcher_server.usage.table import (
    TableRequest,
    asked_measures,
    table_with,
    with_filters,
)

SHOWN_ROWS = 100
MOST_BEFORE = 10_000
MOST_SERIES = 7
SUMMABLE: frozenset[Measure] = frozenset(get_args(Measure)) - {
    "latency_avg",
    "latency_p50",
    "latency_p95",
    "time_to_first_token_p50",
    "input_tokens_p50",
    "users",
}
"""Measures of which the whole is the sum of its parts: they can be stacked and shared out."""
SAID: tuple[Measure, ...] = ("cost", "calls", "unpriced")
"""What the sentence over a page says, whatever is asked for."""
Group = tuple[str | None, ...]
Value = int | float | None


class ExploreRequest(msgspec.Struct, frozen=True):
    """A table, and whether it is held against the period before."""

    table: TableRequest
    compare: bool = False


class Series(msgspec.Struct, frozen=True):
    """One group over time; `group` None is all that is not among the others."""

    group: Group | None
    slot: int
    values: tuple[Value, ...]


class Course(msgspec.Struct, frozen=True):
    """The first measure over time."""

    starts: tuple[int, ...]
    interval: Interval
    series: tuple[Series, ...]
    before: tuple[Value, ...] | None
    """The whole of the period before, bucket by bucket; None where nothing is compared."""


class Explored(msgspec.Struct, frozen=True, kw_only=True):
    period: Period
    totals: Totals
    before: Totals | None
    lines: tuple[Line, ...]
    truncated: bool
    before_lines: Mapping[Group, Totals]
    slots: Mapping[Group, int]
    course: Course


def parse_explore(parameters: Parameters) -> ExploreRequest:
    """Read an address; raises AppError naming what is wrong."""
    reader = Reader(with_filters(parameters))
    asked = ExploreRequest(table_with(reader, SHOWN_ROWS), reader.one("compare") is not None)
    reader.finish()
    return asked


async def explore(store: EventStore, asked: ExploreRequest, scope: Scope, now_us: int) -> Explored:
    """Two round trips: what the groups are, then how the largest of them went."""
    answers = await report(store, explore_questions(asked, scope, now_us))
    limit = asked.table.limit
    lines = answers["lines"][:limit]
    base = _base(asked, scope, now_us)
    top = [line.group for line in lines[:MOST_SERIES]] if asked.table.group_by else []
    over_time = await report(store, _course_questions(asked, base, top))
    slots = _slots(asked, lines, answers["known_models"])
    before = {line.group: line.totals for line in answers.get("before_lines", [])}
    return Explored(
        period=base.period,
        totals=only(answers["totals"]),
        before=only(answers["before"]) if asked.compare else None,
        lines=tuple(lines) if asked.table.group_by else (),
        truncated=len(answers["lines"]) > limit,
        before_lines=before,
        slots=slots,
        course=_course(asked, base, over_time, top, slots),
    )


def explore_questions(asked: ExploreRequest, scope: Scope, now_us: int) -> dict[str, UsageQuery]:
    table, base = asked.table, _base(asked, scope, now_us)
    grouped = replace(base, group_by=table.group_by)
    questions = {
        "totals": replace(base, measures=tuple(dict.fromkeys((*base.measures, *SAID)))),
        "lines": replace(grouped, order_by=table.order_by, limit=table.limit + 1),
        "known_models": known_models_question(scope, now_us),
    }
    if asked.compare:
        earlier = time_before(base.period, now_us)
        questions["before"] = replace(base, period=earlier)
        questions["before_lines"] = replace(grouped, period=earlier, limit=MOST_BEFORE)
    return questions


def interval_of(asked: ExploreRequest, period: Period) -> Interval:
    return asked.table.interval or interval_for(period)


def _base(asked: ExploreRequest, scope: Scope, now_us: int) -> UsageQuery:
    measures = asked_measures(asked.table)
    return replace(question(asked.table.usage, scope, now_us), measures=measures)


def _course_questions(
    asked: ExploreRequest, base: UsageQuery, top: Sequence[Group]
) -> dict[str, UsageQuery]:
    """The first measure in buckets: of each large group, of everything, and of the time before."""
    first = asked.table.measures[0]
    hidden: tuple[Measure, ...] = ("unpriced",) if first == "cost" else ()
    whole = replace(base, measures=(first, *hidden), interval=interval_of(asked, base.period))
    questions = {"whole": whole}
    if top:
        only_these = [
            Filter(dimension, tuple(dict.fromkeys(group[place] for group in top)))
            for place, dimension in enumerate(asked.table.group_by)
        ]
        filters = (*base.filters, *only_these)
        questions["groups"] = replace(whole, group_by=asked.table.group_by, filters=filters)
    if asked.compare:
        questions["before"] = replace(whole, period=base.period.before())
    return questions


def _course(
    asked: ExploreRequest,
    base: UsageQuery,
    answers: Report,
    top: Sequence[Group],
    slots: Mapping[Group, int],
) -> Course:
    measure, zone = asked.table.measures[0], base.zone
    interval = interval_of(asked, base.period)
    starts = tuple(bucket_starts(base.period, interval, zone))
    whole = _values(answers["whole"], starts, measure)
    found: dict[Group, list[Line]] = {group: [] for group in top}
    for line in answers.get("groups", []):
        if line.group in found:  # the filters also let other pairs of the same values through
            found[line.group].append(line)
    series = [
        Series(group, slots[group], _values(lines, starts, measure))
        for group, lines in found.items()
    ]
    if not top:
        series = [Series((), 1, whole)]
    elif measure in SUMMABLE and (rest := _rest(whole, series)):
        series.append(Series(None, 0, rest))
    before = None
    if asked.compare:
        earlier = tuple(bucket_starts(base.period.before(), interval, zone))[: len(starts)]
        padding: tuple[Value, ...] = (None,) * (len(starts) - len(earlier))
        before = _values(answers["before"], earlier, measure) + padding
    return Course(starts, interval, tuple(series), before)


def _values(lines: Sequence[Line], starts: Sequence[int], measure: Measure) -> tuple[Value, ...]:
    """One value for each bucket; where nothing happened a sum is 0 and anything else is None."""
    known = {line.bucket_us: getattr(line.totals, measure) for line in lines}
    empty = 0 if measure in SUMMABLE or measure == "users" else None
    return tuple(known.get(start, empty) for start in starts)


def _rest(whole: Sequence[Value], series: Sequence[Series]) -> tuple[Value, ...]:
    """What the groups shown leave of the whole; empty where they leave nothing."""
    rest = tuple(
        (total or 0) - sum(one.values[place] or 0 for one in series)
        for place, total in enumerate(whole)
    )
    return rest if any(rest) else ()


def _slots(
    asked: ExploreRequest, lines: Sequence[Line], known_models: Sequence[Line]
) -> dict[Group, int]:
    """A model has its colour of every page; other groups have one by rank and name."""
    names = [dimension.field for dimension in asked.table.group_by]
    groups = [line.group for line in lines]
    if "model" not in names:
        given = colours((repr(group), "") for group in groups)
        return {group: given[repr(group), ""] for group in groups}
    palette = palette_of(known_models)
    by_name: dict[str, int] = {}
    for (_, model), slot in palette.items():
        by_name.setdefault(model, slot)
    return {group: _model_slot(names, group, palette, by_name) for group in groups}


def _model_slot(
    names: Sequence[str],
    group: Group,
    palette: Mapping[ModelKey, int],
    by_name: Mapping[str, int],
) -> int:
    model = group[names.index("model")] or ""
    provider = group[names.index("provider")] if "provider" in names else None
    return palette.get((provider or "", model), by_name.get(model, 0))

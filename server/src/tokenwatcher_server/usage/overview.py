"""What the overview page shows: totals, a chart, breakdowns, comparisons, how the month goes."""

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Measure, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.kernel.period import (
    Interval,
    Period,
    bucket_starts,
    day_of,
    day_start,
    last_days,
    month_of,
)
from tokenwatcher_server.usage.chart import Chart, add, by_model, stacked
from tokenwatcher_server.usage.forecast import month_end
from tokenwatcher_server.usage.palette import ModelKey, colours
from tokenwatcher_server.usage.report import Report, filled, only, report
from tokenwatcher_server.usage.request import MAX_DAYS, UsageRequest
from tokenwatcher_server.usage.result import Line, ModelUsage, TagUsage, Totals
from tokenwatcher_server.usage.stats import (
    MOST_GROUPS,
    OVERVIEW,
    PROVIDER_AND_MODEL,
    SPEND,
    question,
)

HOURLY_UP_TO = 2 * DAY_US
DAILY_UP_TO = 190 * DAY_US
BY_BUCKET: tuple[Measure, ...] = (*SPEND, "input_tokens", "cache_read_tokens")


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    period: Period
    interval: Interval
    totals: Totals
    before: Totals
    """The period of the same length before this one, as far as this one has gone."""
    today: Totals
    yesterday: Totals
    yesterday_so_far: Totals
    """Yesterday up to this time of day."""
    month: Totals
    month_forecast: int | None
    chart: Chart
    models: tuple[ModelUsage, ...]
    """The costliest first."""
    colours: dict[ModelKey, int]
    tags: tuple[TagUsage, ...]
    before_tags: dict[str | None, Totals]


async def overview(store: EventStore, request: UsageRequest, scope: Scope, now_us: int) -> Overview:
    """Everything the page shows but the newest events, from one round trip."""
    questions = overview_questions(request, scope, now_us)
    return _overview_of(request, now_us, await report(store, questions))


def overview_questions(request: UsageRequest, scope: Scope, now_us: int) -> dict[str, UsageQuery]:
    base = question(request, scope, now_us)
    before = replace(base, period=time_before(base.period, now_us))
    zone = request.zone
    questions = {
        "totals": replace(base, measures=OVERVIEW),
        "before": before,
        "two_days": replace(base, period=last_days(2, now_us, zone), interval="day"),
        "yesterday_so_far": replace(base, period=_yesterday_so_far(now_us, zone)),
        "month": replace(base, period=month_of(now_us, zone)),
        "buckets": replace(
            base,
            measures=BY_BUCKET,
            interval=interval_for(base.period),
            group_by=PROVIDER_AND_MODEL,
        ),
        "known_models": known_models_question(scope, now_us),
    }
    if request.tag_key is not None:
        tag = (Dimension("tag", request.tag_key),)
        questions["tags"] = replace(base, group_by=tag, limit=MOST_GROUPS)
        questions["before_tags"] = replace(before, group_by=tag, limit=MOST_GROUPS)
    return questions


def known_models_question(scope: Scope, now_us: int) -> UsageQuery:
    """What decides the colours: a year of the whole scope, whatever a page is about."""
    return UsageQuery(
        scope=scope,
        period=last_days(MAX_DAYS, now_us),
        measures=("cost",),
        group_by=PROVIDER_AND_MODEL,
    )


def palette_of(known_models: Sequence[Line]) -> dict[ModelKey, int]:
    """The colour of each model that `known_models_question` found."""
    ranked = sorted(known_models, key=lambda line: -(line.totals.cost or 0))
    return colours(
        (provider or "", model or "") for provider, model in (line.group for line in ranked)
    )


def interval_for(period: Period) -> Interval:
    """Buckets fine enough to show a shape and few enough to be read."""
    if period.length_us <= HOURLY_UP_TO:
        return "hour"
    return "day" if period.length_us <= DAILY_UP_TO else "month"


def time_before(period: Period, now_us: int) -> Period:
    """What came before, cut as the present period is cut by now, so that like meets like."""
    earlier = period.before()
    elapsed = min(max(now_us - period.start_us, 1), period.length_us)
    return Period(earlier.start_us, earlier.start_us + elapsed)


def _yesterday_so_far(now_us: int, zone: ZoneInfo) -> Period:
    today = day_of(now_us, zone)
    start = day_start(today - timedelta(days=1), zone)
    return Period(start, start + now_us - day_start(today, zone) + 1)


def _overview_of(request: UsageRequest, now_us: int, answers: Report) -> Overview:
    period, zone = request.period(now_us), request.zone
    interval = interval_for(period)
    palette = palette_of(answers["known_models"])
    two_days = filled(answers["two_days"], last_days(2, now_us, zone), "day", zone)
    (_, yesterday), (_, today) = two_days
    month = only(answers["month"])
    starts = list(bucket_starts(period, interval, zone))
    return Overview(
        period=period,
        interval=interval,
        totals=only(answers["totals"]),
        before=only(answers["before"]),
        today=today,
        yesterday=yesterday,
        yesterday_so_far=only(answers["yesterday_so_far"]),
        month=month,
        month_forecast=month_end(month.cost, month_of(now_us, zone), now_us),
        chart=stacked(starts, answers["buckets"], palette),
        models=_models(answers["buckets"]),
        colours=palette,
        tags=tuple(TagUsage(line.group[0], line.totals) for line in answers.get("tags", [])),
        before_tags={line.group[0]: line.totals for line in answers.get("before_tags", [])},
    )


def _models(buckets: Sequence[Line]) -> tuple[ModelUsage, ...]:
    """The buckets of each model together; all that is shown of a model can be summed."""
    found = [
        ModelUsage(provider, model, add([line.totals for line in lines]))
        for (provider, model), lines in by_model(buckets).items()
    ]
    return tuple(
        sorted(found, key=lambda one: (-(one.totals.cost or 0), -one.totals.calls, one.model))
    )

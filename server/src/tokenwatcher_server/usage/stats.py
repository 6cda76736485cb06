"""The numbers of `GET /api/stats`."""

from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Measure, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import UTC_ZONE, day_of, last_days
from tokenwatcher_server.usage.report import Report, filled, only, report
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.result import DayUsage, Line, ModelUsage, Stats, TagUsage

PROVIDER_AND_MODEL = (Dimension("provider"), Dimension("model"))
SPEND: tuple[Measure, ...] = ("cost", "total_tokens", "calls", "errors", "unpriced")
BY_MODEL: tuple[Measure, ...] = (
    *SPEND,
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "latency_avg",
)
OVERVIEW: tuple[Measure, ...] = (
    *BY_MODEL,
    "cache_savings",
    "latency_p50",
    "latency_p95",
    "time_to_first_token_p50",
)
MOST_GROUPS = 1_000
"""The most models or tag values in one answer; the totals count them all nevertheless."""


async def stats(store: EventStore, request: UsageRequest, scope: Scope, now_us: int) -> Stats:
    """Everything `/api/stats` gives, in one round trip. Raises AppError for an empty period."""
    questions = stats_questions(request, scope, now_us)
    return stats_of(request, now_us, await report(store, questions))


def stats_questions(request: UsageRequest, scope: Scope, now_us: int) -> dict[str, UsageQuery]:
    base = question(request, scope, now_us)
    questions = {
        "overview": replace(base, measures=OVERVIEW),
        "models": replace(base, measures=BY_MODEL, group_by=PROVIDER_AND_MODEL, limit=MOST_GROUPS),
        "days": replace(base, interval="day"),
        "two_days": replace(base, period=last_days(2, now_us), interval="day", zone=UTC_ZONE),
    }
    if request.tag_key is not None:
        tag = Dimension("tag", request.tag_key)
        questions["tags"] = replace(base, group_by=(tag,), limit=MOST_GROUPS)
    return questions


def question(request: UsageRequest, scope: Scope, now_us: int) -> UsageQuery:
    """The totals of the request's period; further questions are made by replacing parts."""
    return UsageQuery(
        scope=scope,
        period=request.period(now_us),
        measures=SPEND,
        filters=request.filters,
        zone=request.zone,
    )


def stats_of(request: UsageRequest, now_us: int, answers: Report) -> Stats:
    period = request.period(now_us)
    two_days = filled(answers["two_days"], last_days(2, now_us), "day", UTC_ZONE)
    (_, yesterday), (_, today) = two_days
    return Stats(
        period=period,
        overview=only(answers["overview"]),
        today=today,
        yesterday=yesterday,
        models=tuple(_model(line) for line in answers["models"]),
        days=tuple(
            DayUsage(day_of(start, request.zone), totals)
            for start, totals in filled(answers["days"], period, "day", request.zone)
        ),
        tags=tuple(TagUsage(line.group[0], line.totals) for line in answers.get("tags", [])),
    )


def _model(line: Line) -> ModelUsage:
    provider, model = line.group
    return ModelUsage(provider or "", model or "", line.totals)

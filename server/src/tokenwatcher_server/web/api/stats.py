"""`GET /api/stats`: a period in numbers. Each amount is a JSON number beside its exact text."""

from typing import Any

import msgspec
from litestar import Request, get

from tokenwatcher_server.kernel.money import usd_number, usd_text
from tokenwatcher_server.usage.request import parse
from tokenwatcher_server.usage.result import DayUsage, ModelUsage, Stats, TagUsage, Totals
from tokenwatcher_server.usage.stats import stats
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.rate_limit import count_question
from tokenwatcher_server.web.scope import asked_scope
from tokenwatcher_server.web.services import services_of

EMBEDDED = "events"
"""What the numbers are those of; sums by the hour, where they answer, say the same."""


class OverviewAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Latencies are milliseconds, null where no call has one.

    An amount is null where there are calls and none of them has a price.
    """

    total_cost_usd: float | None
    total_cost_exact: str | None
    total_input_tokens: int
    total_output_tokens: int
    total_tokens: int
    avg_latency_ms: float | None
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    p50_time_to_first_token_ms: float | None
    call_count: int
    error_count: int
    unpriced_count: int
    cache_read_tokens: int
    cache_savings_usd: float
    cache_savings_exact: str


class DayTotals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    total_cost_usd: float | None
    total_cost_exact: str | None
    total_tokens: int
    call_count: int
    error_count: int
    unpriced_count: int


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    provider: str
    model: str
    total_cost_usd: float | None
    total_cost_exact: str | None
    total_tokens: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    call_count: int
    error_count: int
    unpriced_count: int
    avg_latency_ms: float | None


class DayAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    date: str
    total_cost: float | None
    total_cost_exact: str | None
    total_tokens: int
    call_count: int
    error_count: int
    unpriced_count: int


class TagAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`tag_value` null stands for the events without the tag."""

    tag_value: str | None
    total_cost: float | None
    total_cost_exact: str | None
    total_tokens: int
    call_count: int
    error_count: int
    unpriced_count: int


class Meta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    data_source: str


class StatsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    overview: OverviewAnswer
    today: DayTotals
    yesterday: DayTotals
    by_model: list[ModelAnswer]
    daily_trend: list[DayAnswer]
    tag_breakdown: list[TagAnswer]
    meta: Meta


@get("/api/stats", summary="A period in numbers")
async def get_stats(request: Request[Any, Any, Any], principal: Caller) -> StatsAnswer:
    """Totals, today and yesterday (UTC), by model, by day, and by the values of `tagKey`.

    `days` is 1 to 365 (30 by default), or `from` and `to` are dates or instants of `tz`.
    """
    services = services_of(request)
    await count_question(services, principal)
    asked = parse(request.query_params.multi_items())
    scope = await asked_scope(request, principal, asked)
    return stats_answer(await stats(services.store, asked, scope, services.clock.now_us()))


def stats_answer(found: Stats) -> StatsAnswer:
    return StatsAnswer(
        overview=_overview(found.overview),
        today=_day_totals(found.today),
        yesterday=_day_totals(found.yesterday),
        by_model=[_model(usage) for usage in found.models],
        daily_trend=[_day(usage) for usage in found.days],
        tag_breakdown=[_tag(usage) for usage in found.tags],
        meta=Meta(data_source=EMBEDDED),
    )


def amount(picodollars: int | None) -> tuple[float | None, str | None]:
    """An amount as JSON gives it: the nearest number, and the exact text."""
    if picodollars is None:
        return None, None
    return usd_number(picodollars), usd_text(picodollars)


def _overview(totals: Totals) -> OverviewAnswer:
    cost, exact = amount(totals.cost)
    savings = totals.cache_savings or 0
    return OverviewAnswer(
        total_cost_usd=cost,
        total_cost_exact=exact,
        total_input_tokens=totals.input_tokens,
        total_output_tokens=totals.output_tokens,
        total_tokens=totals.total_tokens,
        avg_latency_ms=totals.latency_avg,
        p50_latency_ms=totals.latency_p50,
        p95_latency_ms=totals.latency_p95,
        p50_time_to_first_token_ms=totals.time_to_first_token_p50,
        call_count=totals.calls,
        error_count=totals.errors,
        unpriced_count=totals.unpriced,
        cache_read_tokens=totals.cache_read_tokens,
        cache_savings_usd=usd_number(savings),
        cache_savings_exact=usd_text(savings),
    )


def _counts(totals: Totals) -> dict[str, int]:
    return {
        "total_tokens": totals.total_tokens,
        "call_count": totals.calls,
        "error_count": totals.errors,
        "unpriced_count": totals.unpriced,
    }


def _day_totals(totals: Totals) -> DayTotals:
    cost, exact = amount(totals.cost)
    return DayTotals(total_cost_usd=cost, total_cost_exact=exact, **_counts(totals))


def _model(usage: ModelUsage) -> ModelAnswer:
    cost, exact = amount(usage.totals.cost)
    return ModelAnswer(
        provider=usage.provider,
        model=usage.model,
        total_cost_usd=cost,
        total_cost_exact=exact,
        input_tokens=usage.totals.input_tokens,
        output_tokens=usage.totals.output_tokens,
        cache_read_tokens=usage.totals.cache_read_tokens,
        avg_latency_ms=usage.totals.latency_avg,
        **_counts(usage.totals),
    )


def _day(usage: DayUsage) -> DayAnswer:
    cost, exact = amount(usage.totals.cost)
    return DayAnswer(
        date=usage.day.isoformat(), total_cost=cost, total_cost_exact=exact, **_counts(usage.totals)
    )


def _tag(usage: TagUsage) -> TagAnswer:
    cost, exact = amount(usage.totals.cost)
    return TagAnswer(
        tag_value=usage.value, total_cost=cost, total_cost_exact=exact, **_counts(usage.totals)
    )


ROUTES = (get_stats,)

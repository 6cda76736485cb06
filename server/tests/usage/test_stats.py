"""Stats are exact, whole days of UTC, within their scope, and honest about what has no price."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tokenwatcher_server.events.query import Dimension, Scope
from tokenwatcher_server.usage.overview import overview
from tokenwatcher_server.usage.request import Between, LastDays, UsageRequest, with_filter
from tokenwatcher_server.usage.result import Stats
from tokenwatcher_server.usage.stats import stats
from tokenwatcher_server.web.api.stats import stats_answer

Made = Callable[..., Any]
WithStore = Callable[..., Any]
TODAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def ask(
    with_store: WithStore, events: list[Any], request: UsageRequest, scope: Scope, now_us: int
) -> Stats:
    found: Stats = with_store(events, lambda store: stats(store, request, scope, now_us))
    return found


def test_a_total_is_exact_to_the_picodollar(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    costs = [2**62, 2**62, 1, 10**12 - 1]
    found = ask(with_store, [made(TODAY, cost) for cost in costs], UsageRequest(), scope, now_us)
    assert found.overview.cost == sum(costs)
    assert found.today.cost == sum(costs)
    answer = stats_answer(found)
    assert answer.overview.total_cost_exact == "9223373.036854775808"
    assert answer.overview.total_cost_usd == 9223373.036854775808


def test_days_without_events_are_present_as_zeros(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    request = UsageRequest(window=LastDays(4))
    found = ask(with_store, [made(TODAY - 2 * DAY, 7)], request, scope, now_us)
    assert [(one.day, one.totals.cost, one.totals.calls) for one in found.days] == [
        (date(2026, 11, 20), 0, 0),
        (date(2026, 11, 21), 7, 1),
        (date(2026, 11, 22), 0, 0),
        (date(2026, 11, 23), 0, 0),
    ]


def test_today_and_yesterday_are_days_of_utc_whatever_the_zone_and_the_period(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    events = [made(midnight, 5), made(midnight - timedelta(microseconds=1), 3)]
    request = UsageRequest(window=Between(date(2026, 1, 1), date(2026, 1, 2)))
    found = ask(with_store, events, request, scope, now_us)
    assert (found.today.cost, found.yesterday.cost, found.overview.cost) == (5, 3, 0)


def test_unpriced_calls_are_counted_and_their_cost_is_not_known(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [made(TODAY, None, model="ours"), made(TODAY, 9), made(TODAY, 0, failed=True)]
    answer = stats_answer(ask(with_store, events, UsageRequest(), scope, now_us))
    assert (answer.overview.unpriced_count, answer.overview.error_count) == (1, 1)
    assert answer.overview.total_cost_exact == "0.000000000009"
    by_model = {one.model: one for one in answer.by_model}
    assert by_model["ours"].total_cost_usd is None
    assert by_model["ours"].total_cost_exact is None


def test_nothing_at_all_costs_nothing(with_store: WithStore, scope: Scope, now_us: int) -> None:
    answer = stats_answer(ask(with_store, [], UsageRequest(), scope, now_us))
    assert (answer.overview.total_cost_usd, answer.overview.call_count) == (0, 0)
    assert answer.overview.p95_latency_ms is None
    assert len(answer.daily_trend) == 30
    assert answer.by_model == []


def test_another_workspaces_events_are_never_counted(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [made(TODAY, 5), made(TODAY, 1_000, foreign=True)]
    assert ask(with_store, events, UsageRequest(), scope, now_us).overview.cost == 5


def test_a_filter_holds_for_every_number(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [made(TODAY, 5, model="a"), made(TODAY, 7, model="b"), made(TODAY - DAY, 2, model="a")]
    request = with_filter(UsageRequest(), Dimension("model"), ["a"])
    found = ask(with_store, events, request, scope, now_us)
    assert (found.overview.cost, found.today.cost, found.yesterday.cost) == (7, 5, 2)
    assert [one.model for one in found.models] == ["a"]


def test_a_tag_is_broken_down_with_the_events_that_lack_it(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [
        made(TODAY, 5, tags={"feature": "chat"}),
        made(TODAY, 3),
        made(TODAY, 2, tags={"feature": ""}),
    ]
    found = ask(with_store, events, UsageRequest(tag_key="feature"), scope, now_us)
    assert {one.value: one.totals.cost for one in found.tags} == {"chat": 5, None: 3, "": 2}


def test_the_overview_compares_with_as_much_of_the_time_before(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    yesterday = TODAY - DAY
    events = [
        made(TODAY, 6),
        made(yesterday, 4),
        made(yesterday.replace(hour=23), 100),
        made(TODAY.replace(day=1), 50),
    ]
    shown = with_store(
        events, lambda store: overview(store, UsageRequest(window=LastDays(1)), scope, now_us)
    )
    assert shown.today.cost == 6
    assert (shown.yesterday_so_far.cost, shown.before.cost) == (4, 4)
    assert shown.month.cost == 160
    assert shown.interval == "hour"
    assert sum(column.totals.cost or 0 for column in shown.chart.columns) == 6

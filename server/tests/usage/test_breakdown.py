"""Who costs what, who moved, and what a million tokens really cost."""

from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any

import pytest

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import Dimension, Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import to_datetime
from tokenwatcher_server.usage.breakdown import Breakdown, breakdown, movers, per_million
from tokenwatcher_server.usage.request import LastDays, UsageRequest
from tokenwatcher_server.usage.result import Totals

WithStore = Callable[[list[PricedEvent], Callable[[EventStore], Awaitable[Any]]], Any]
Made = Callable[..., PricedEvent]


@pytest.fixture
def by_user(with_store: WithStore, scope: Scope, now_us: int) -> Callable[..., Breakdown]:
    def ask(events: list[PricedEvent]) -> Breakdown:
        request = UsageRequest(window=LastDays(1))
        group_by = (Dimension("user"),)
        found: Breakdown = with_store(
            events,
            lambda store: breakdown(store, request, scope, now_us, group_by, ("cost", "calls")),
        )
        return found

    return ask


def test_the_largest_change_comes_first_whether_up_down_new_or_gone(
    by_user: Callable[..., Breakdown], made: Made, now_us: int
) -> None:
    now = to_datetime(now_us).astimezone(UTC) - timedelta(hours=1)
    yesterday = now - timedelta(days=1)
    found = by_user(
        [
            made(now, 100, user_id="new"),
            made(yesterday, 70, user_id="gone"),
            made(yesterday, 50, user_id="steady"),
            made(now, 50, user_id="steady"),
            made(yesterday, 10, user_id="grown"),
            made(now, 30, user_id="grown"),
            made(now, 900),
        ]
    )
    assert [(one.group[0], one.difference) for one in movers(found, 5)] == [
        ("new", 100),
        ("gone", -70),
        ("grown", 20),
    ]


def test_a_million_tokens_have_no_price_where_some_calls_have_none() -> None:
    assert per_million(Totals(cost=5_000_000, total_tokens=2_000_000)) == 2_500_000
    assert per_million(Totals(cost=5_000_000, total_tokens=2_000_000, unpriced=1)) is None
    assert per_million(Totals(cost=0, total_tokens=0)) is None

"""What a page says before it shows anything."""

from datetime import UTC, date, datetime

import pytest

from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.kernel.clock import DAY_US, to_us
from tokenwatcher_server.kernel.money import picodollars
from tokenwatcher_server.kernel.period import month_of
from tokenwatcher_server.usage.forecast import month_end
from tokenwatcher_server.usage.request import Between, LastDays, UsageRequest, with_filter
from tokenwatcher_server.usage.result import Totals
from tokenwatcher_server.usage.sentence import lede, period_name

NOW = to_us(datetime(2026, 11, 16, tzinfo=UTC))
SPENT = Totals(cost=picodollars("4688.5"), calls=348_098)


def said(request: UsageRequest, totals: Totals = SPENT) -> str:
    return lede(request, request.period(NOW), totals)


def test_the_page_opens_with_what_a_person_wants_to_know() -> None:
    assert said(UsageRequest()) == "$4,688.50 in the last 30 days over 348,098 calls"


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (LastDays(1), "today"),
        (LastDays(7), "in the last 7 days"),
        (Between(date(2026, 5, 1), date(2026, 5, 1)), "on May 1, 2026"),
        (Between(date(2026, 5, 1), date(2026, 5, 3)), "from May 1 to May 3, 2026"),
        (Between(date(2025, 12, 30), date(2026, 1, 2)), "from Dec 30, 2025, to Jan 2, 2026"),
    ],
)
def test_the_period_is_said_in_words(window: LastDays | Between, words: str) -> None:
    assert said(UsageRequest(window=window)) == f"$4,688.50 {words} over 348,098 calls"


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (LastDays(1), "Today"),
        (LastDays(7), "Last 7 days"),
        (Between(date(2026, 5, 1), date(2026, 5, 1)), "May 1"),
        (Between(date(2026, 5, 1), date(2026, 6, 3)), "May 1 – Jun 3"),
    ],
)
def test_a_period_has_a_short_name(window: LastDays | Between, name: str) -> None:
    request = UsageRequest(window=window)
    assert period_name(request, request.period(NOW)) == name


def test_filters_are_said_in_words() -> None:
    request = with_filter(UsageRequest(), Dimension("model"), ["gpt-5"])
    request = with_filter(request, Dimension("tag", "feature"), ["chat", None])
    assert said(request).endswith("where model is gpt-5 and feature is chat or not given")


def test_nothing_and_no_price_are_not_the_same() -> None:
    assert said(UsageRequest(), Totals(cost=0)) == "No calls in the last 30 days"
    unpriced = Totals(cost=None, calls=1, unpriced=1)
    assert said(UsageRequest(), unpriced) == "1 call in the last 30 days, none of which has a price"


def test_half_a_month_is_on_pace_for_twice_as_much() -> None:
    assert month_end(1_000, month_of(NOW, UsageRequest().zone), NOW) == 2_000


def test_the_first_day_of_a_month_says_nothing_of_its_end() -> None:
    month = month_of(NOW, UsageRequest().zone)
    assert month_end(1_000, month, month.start_us + DAY_US - 1) is None
    assert month_end(None, month, NOW) is None

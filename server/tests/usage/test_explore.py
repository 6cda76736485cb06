"""Explore: groups, their course over time, and the time before, from one question."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import to_datetime
from tokenwatcher_server.usage.explore import Explored, explore, parse_explore
from tokenwatcher_server.web.pages.explore_form import parameters_for

WithStore = Callable[[list[PricedEvent], Callable[[EventStore], Awaitable[Any]]], Any]
Made = Callable[..., PricedEvent]


@pytest.fixture
def explored(with_store: WithStore, scope: Scope, now_us: int) -> Callable[..., Explored]:
    def ask(events: list[PricedEvent], address: str) -> Explored:
        asked = parse_explore(parse_qsl(address))
        found: Explored = with_store(events, lambda store: explore(store, asked, scope, now_us))
        return found

    return ask


@pytest.fixture
def today(now_us: int) -> datetime:
    return to_datetime(now_us).astimezone(UTC) - timedelta(hours=1)


def test_the_course_of_the_groups_and_the_rest_sums_to_the_whole(
    explored: Callable[..., Explored], made: Made, today: datetime
) -> None:
    events = [made(today, 10 + number, user_id=f"user-{number}") for number in range(9)]
    events.append(made(today - timedelta(days=1), 500, user_id="user-3"))
    found = explored(events, "measures=cost,calls&groupBy=userId&days=2&interval=day")
    assert found.lines[0].group == ("user-3",)
    assert found.course.series[-1].group is None
    over_time = [sum(one.values[day] or 0 for one in found.course.series) for day in range(2)]
    assert over_time == [500, sum(range(10, 19))]
    assert found.totals.cost == sum(over_time)


def test_what_can_not_be_summed_has_no_rest(
    explored: Callable[..., Explored], made: Made, today: datetime
) -> None:
    events = [made(today, 1, user_id=f"user-{number}", latency_ms=100) for number in range(9)]
    found = explored(events, "measures=latencyP95&groupBy=userId&days=1")
    assert all(one.group is not None for one in found.course.series)


def test_pairs_that_the_filters_let_through_by_chance_are_not_drawn(
    explored: Callable[..., Explored], made: Made, today: datetime
) -> None:
    events = [
        made(today, 5, user_id="a", session_id="1"),
        made(today, 3, user_id="b", session_id="2"),
    ]
    found = explored(events, "measures=cost&groupBy=userId,sessionId&days=1")
    assert {one.group for one in found.course.series} == {("a", "1"), ("b", "2")}


def test_groups_are_held_against_the_period_before_as_far_as_this_one_has_gone(
    explored: Callable[..., Explored], made: Made, today: datetime
) -> None:
    events = [
        made(today, 30),
        made(today - timedelta(days=1), 10),
        made(today - timedelta(days=1) + timedelta(hours=4), 1_000),
    ]
    found = explored(events, "measures=cost&groupBy=model&days=1&compare=before")
    assert found.before is not None
    assert found.before.cost == 10
    assert found.before_lines["gpt-5",].cost == 10
    assert found.course.before is not None
    assert sum(value or 0 for value in found.course.before) == 1_010


def test_a_model_has_its_colour_of_every_page_whatever_is_asked(
    explored: Callable[..., Explored], made: Made, today: datetime
) -> None:
    events = [made(today, cost, model=f"model-{cost}") for cost in (9, 5, 2)]
    slots = {
        explored(events, f"measures={asked}&groupBy={groups}").slots[group]
        for asked, groups, group in (
            ("cost", "model", ("model-5",)),
            ("calls", "provider,model", ("openai", "model-5")),
            ("cost", "model", ("model-5",)),
        )
    }
    assert len(slots) == 1


def test_the_address_holds_the_whole_question() -> None:
    address = "measures=calls,cost&groupBy=model&groupBy=tag.team&interval=hour&orderBy=cost&compare=before"
    asked = parse_explore(parse_qsl(address))
    assert parse_explore(parameters_for(asked)) == asked

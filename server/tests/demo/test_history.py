"""The made-up history is the same every time, adds up, and tells its story."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tokenwatcher_server.demo.company import PROJECTS, STREAMS
from tokenwatcher_server.demo.history import DAYS, Plan, history
from tokenwatcher_server.events.event import Event
from tokenwatcher_server.kernel.clock import DAY_US, to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

END_US = to_us(datetime(2026, 11, 19, 16, 30, tzinfo=UTC))
SIZE = 30_000


def plan(events: int = SIZE, *, seed: int = 7, days: int = DAYS) -> Plan:
    return Plan(
        events=events,
        end_us=END_US,
        workspace_id=WorkspaceId("the-workspace"),
        projects={project.slug: ProjectId(f"project-{project.slug}") for project in PROJECTS},
        days=days,
        seed=seed,
    )


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return [event for hour in history(plan()) for event in hour]


def age(event: Event) -> int:
    return END_US // DAY_US - event.occurred_at // DAY_US


def per_day(events: list[Event], wanted: Callable[[Event], bool]) -> Counter[int]:
    return Counter(age(event) for event in events if wanted(event))


def of_feature(feature: str) -> Callable[[Event], bool]:
    return lambda event: event.tags["feature"] == feature


def test_same_seed_gives_the_same_events() -> None:
    assert list(history(plan(3000))) == list(history(plan(3000)))
    assert list(history(plan(3000))) != list(history(plan(3000, seed=8)))


@pytest.mark.parametrize("size", [0, 1, 17, 2500])
def test_history_has_exactly_the_wanted_number_of_events(size: int) -> None:
    assert sum(len(hour) for hour in history(plan(size))) == size


def test_ids_and_response_ids_are_unique(events: list[Event]) -> None:
    assert len({event.id for event in events}) == SIZE
    response_ids = [event.response_id for event in events if event.response_id]
    assert len(set(response_ids)) == len(response_ids)
    assert all(len(response_id) >= 16 for response_id in response_ids)


def test_events_come_in_order_and_end_before_now(events: list[Event]) -> None:
    instants = [event.occurred_at for event in events]
    assert instants == sorted(instants)
    assert instants[-1] < END_US
    assert instants[-1] > END_US - 3_600_000_000


def test_every_one_of_the_ninety_days_has_events(events: list[Event]) -> None:
    days = per_day(events, lambda _: True)
    assert set(days) == set(range(DAYS))


def test_every_stream_project_and_tag_is_there(events: list[Event]) -> None:
    assert {event.model for event in events} == {stream.model for stream in STREAMS}
    assert len({event.project_id for event in events}) == len(PROJECTS)
    assert all(
        event.tags.keys() == {"feature", "team", "route", "customer_tier"} for event in events
    )
    assert {event.service_tier for event in events} == {None, "batch"}


def test_a_small_part_of_the_calls_fails(events: list[Event]) -> None:
    errors = [event for event in events if event.event_type == "error"]
    assert 0.003 < len(errors) / SIZE < 0.012
    assert all(error.error_type and error.error_message for error in errors)


def test_weekends_are_quieter_than_weekdays(events: list[Event]) -> None:
    days = per_day(events, lambda _: True)
    weekend, weekday = (
        days[END_US // DAY_US - to_us(datetime(2026, 11, 15, tzinfo=UTC)) // DAY_US],
        days[1],
    )
    assert weekend < 0.75 * weekday


def test_use_grows_over_the_ninety_days(events: list[Event]) -> None:
    days = per_day(events, lambda _: True)
    first_month = sum(days[day] for day in range(60, 90))
    last_month = sum(days[day] for day in range(1, 31))
    assert 1.25 < last_month / first_month < 1.75


def test_summarise_prompts_are_longer_since_ten_days(events: list[Event]) -> None:
    prompts = [
        (age(event), event.tokens.input_text or 0)
        for event in events
        if event.tags["feature"] == "summarise" and event.event_type == "usage"
    ]
    before = [tokens for day, tokens in prompts if day >= 10]
    after = [tokens for day, tokens in prompts if day < 10]
    growth = (sum(after) / len(after)) / (sum(before) / len(before))
    assert growth == pytest.approx(1.38, abs=0.12)


def test_one_day_of_review_is_a_spike_by_a_single_user(events: list[Event]) -> None:
    days = per_day(events, of_feature("review"))
    assert days[23] > 2 * max(count for day, count in days.items() if day != 23)
    users = Counter(
        event.user_id for event in events if age(event) == 23 and of_feature("review")(event)
    )
    assert users.most_common(1)[0][0] == "build-robot"


def test_chat_moves_from_one_model_to_the_next_within_a_week(events: list[Event]) -> None:
    old = per_day(events, lambda event: event.model == "claude-sonnet-4-5-20250929")
    new = per_day(events, lambda event: event.model == "claude-sonnet-5")
    assert min(old) > 32
    assert max(new) < 38
    assert all(old[day] and new[day] for day in (34, 36))


def test_some_events_have_a_model_of_the_companys_own(events: list[Event]) -> None:
    in_house = [event for event in events if event.provider == "self-hosted"]
    assert 0.001 < len(in_house) / SIZE < 0.01


def test_a_users_share_has_a_long_tail(events: list[Event]) -> None:
    users = Counter(event.user_id for event in events if of_feature("chat")(event))
    counts = [count for _, count in users.most_common()]
    assert sum(counts[: len(counts) // 10]) > 0.3 * sum(counts)
    assert len(counts) > 300

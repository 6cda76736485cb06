"""The decision alone: told once, resolved once, told again only after the cooldown."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.alerts.evaluate import Place, Standing, transitions
from tokenwatcher_server.alerts.measure import value_of, window
from tokenwatcher_server.alerts.rule import Rule, Unit, Window, parts_of, text_of
from tokenwatcher_server.kernel.clock import HOUR_US, MICROSECONDS, iso, to_us
from tokenwatcher_server.kernel.period import Period

RULE = Rule(
    id="rule", workspace_id="w", project_id=None, name="Budget", type="daily_cost",
    threshold=1_000, steps=(50, 100),
)  # fmt: skip
COOLDOWN = 3_600
Told = dict[Place, Standing]


def step(
    told: Told, values: Mapping[str, int], now_us: int, start: int = 7
) -> list[tuple[str, int]]:
    """Evaluate, keep what was told, and give it as (told, step)."""
    found = transitions(
        RULE, start, values, told, now_us=now_us * MICROSECONDS, cooldown_seconds=COOLDOWN
    )
    told |= {one.place: Standing(one.told, now_us * MICROSECONDS) for one in found}
    return [(one.told, one.place.step) for one in found]


def test_each_step_tells_once_in_a_window_and_again_in_the_next() -> None:
    told: Told = {}
    assert step(told, {"": 499}, 0) == []
    assert step(told, {"": 500}, 1) == [("triggered", 50)]
    assert step(told, {"": 800}, 2) == []
    assert step(told, {"": 5_000}, 3) == [("triggered", 100)]
    assert step(told, {"": 9_000}, 4) == []
    assert step(told, {"": 600}, 5, start=8) == [("triggered", 50)]


def test_what_falls_back_is_resolved_once_and_waits_before_it_tells_again() -> None:
    told: Told = {}
    step(told, {"": 700}, 0)
    assert step(told, {"": 100}, 1) == [("resolved", 50)]
    assert step(told, {"": 100}, 2) == []
    assert step(told, {"": 700}, 3) == []
    assert step(told, {"": 700}, 1 + COOLDOWN) == [("triggered", 50)]
    assert step(told, {}, 2 + COOLDOWN) == [("resolved", 50)]


def test_a_subject_beyond_those_that_are_looked_at_is_not_taken_for_gone() -> None:
    place = Place(50, "ann", 7)
    told = {place: Standing("triggered", 0)}
    for complete, expected in ((False, []), (True, [place])):
        found = transitions(
            RULE, 7, {"ben": 1}, told, now_us=1, cooldown_seconds=0, complete=complete
        )
        assert [one.place for one in found] == expected


@given(st.lists(st.dictionaries(st.sampled_from(["", "ann", "ben"]), st.integers(0, 2_000))))
def test_no_step_tells_twice_without_being_resolved_between(history: list[dict[str, int]]) -> None:
    told: Told = {}
    last: dict[Place, str] = {}
    for number, values in enumerate(history):
        now_us = number * COOLDOWN * MICROSECONDS
        found = transitions(RULE, 7, values, told, now_us=now_us, cooldown_seconds=COOLDOWN)
        for one in found:
            assert last.get(one.place, "resolved") != one.told
            last[one.place] = one.told
            told[one.place] = Standing(one.told, now_us)
        for subject, value in values.items():
            for percent in RULE.steps:
                is_told = last.get(Place(percent, subject, 7)) == "triggered"
                assert is_told == (value >= RULE.level(percent))


@given(st.integers(1, 2**62), st.sampled_from(["usd", "tokens", "percent", "ms", "events"]))
def test_a_threshold_survives_being_shown_and_read(parts: int, unit: Unit) -> None:
    assert parts_of(text_of(parts, unit), unit) == parts


@pytest.mark.parametrize(
    ("kind", "now", "zone", "start", "end"),
    [
        ("hour", "2026-03-29T01:59:00", "UTC", "2026-03-29T01:00", "2026-03-29T02:00"),
        ("day", "2026-03-29T12:00:00", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("week", "2026-11-22T23:59:59", "UTC", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "2026-01-31T23:30:00", "Asia/Tokyo", "2026-01-31T15:00", "2026-02-28T15:00"),
    ],
)
def test_a_window_is_that_of_the_rules_zone(
    kind: Window, now: str, zone: str, start: str, end: str
) -> None:
    found = window(
        kind,
        to_us(datetime.fromisoformat(f"{now}+00:00")),
        ZoneInfo(zone),
    )
    assert (iso(found.start_us)[:16], iso(found.end_us)[:16]) == (start, end)


def test_a_forecast_is_the_months_pace_and_silent_on_its_first_day() -> None:
    rule = msgspec.structs.replace(RULE, type="cost_forecast")
    day = 24 * HOUR_US
    november = Period(0, 30 * day)
    assert value_of(rule, [600], november, day // 2) is None
    assert value_of(rule, [600], november, 6 * day) == 3_000
    assert value_of(rule, [None], november, 6 * day) is None


def test_an_error_rate_needs_enough_calls() -> None:
    rule = msgspec.structs.replace(RULE, type="error_rate")
    hour = Period(0, HOUR_US)
    assert value_of(rule, [19, 19], hour, 1) is None
    assert value_of(rule, [1, 20], hour, 1) == 500
    assert value_of(rule, [0, 20], hour, 1) == 0

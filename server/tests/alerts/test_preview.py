"""What a preview shows is what would have been told: by the same values and the same decision."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from server.tests.stores.conftest import Cast, Opened
from tokenwatcher_server.alerts.evaluate import Place, Standing, transitions
from tokenwatcher_server.alerts.measure import Asked, observe, window
from tokenwatcher_server.alerts.preview import DAYS, Fired, preview
from tokenwatcher_server.alerts.rule import RULE_TYPES, Rule, RuleType
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.kernel.period import last_days

CAST = Cast()
NOW = CAST.noon + 17 * 60_000_000
COOLDOWN = 3_600
HOURLY = {"hour", "last hour"}
Ends = Mapping[int, Mapping[str, int]]
"""Values by subject, by the end of their window."""


def rule(kind: RuleType, **fields: Any) -> Rule:
    more: dict[str, Any] = {
        "model_daily_cost": {"model": "gpt-4o"},
        "tag_cost": {"tag_key": "feature"},
        "prompt_growth": {"tag_key": "feature"},
    }.get(kind, {})
    return Rule(
        **{"id": "r", "workspace_id": CAST.alice, "project_id": None, "name": "n", "type": kind,
           "threshold": 1, "steps": (50, 100), "zone": "America/New_York"} | more | fields
    )  # fmt: skip


def calls(seed: int, days: int) -> list[Any]:
    """Calls over the last days: dear hours, failures, longer prompts, some nobody's."""
    chance = random.Random(seed)
    found = []
    for back in range(days):
        for number in range(60 + chance.randrange(60)):
            feature = chance.choice(["chat", "search", None])
            fails = chance.random() < 0.2
            found.append(
                CAST.event(
                    occurred_at=NOW
                    - back * DAY_US
                    - chance.randrange(DAY_US if number % 2 else HOUR_US),
                    model=chance.choice(["gpt-4o", "o3"]),
                    user_id=chance.choice(["ann", "ben", None]),
                    tags={} if feature is None else {"feature": feature},
                    status="error" if fails else "success",
                    event_type="error" if fails else "usage",
                    latency_ms=chance.randrange(4_000),
                    input_text=chance.randrange(1_000) * (3 if back < 2 else 1),
                    cost=CAST.unpriced()
                    if fails or number % 17 == 0
                    else CAST.cost(chance.randrange(1, 10**9), 5),
                )
            )
    return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    opened = Opened(tmp_path_factory.mktemp("preview"), NOW)

    async def nothing(store: EventStore) -> None:
        await store.verify()

    opened.after([calls(1, 130)], nothing)
    return opened


async def ends_of_windows(store: EventStore, watched: Rule, days: int) -> Ends:
    """What the evaluation of the present says at the last instant of each window of some days."""
    zone = ZoneInfo(watched.zone)
    asked, at = [], last_days(days, NOW, zone).start_us
    while at < NOW:
        over = window(watched.watched.window, at, zone)
        end = at + HOUR_US if watched.watched.window == "last hour" else over.end_us
        asked.append(Asked(watched, min(end, NOW) - 1))
        at = end
    seen = await observe(store, asked)
    return {one.at_us + 1: dict(found.values) for one, found in zip(asked, seen, strict=True)}


@pytest.mark.parametrize("kind", RULE_TYPES)
def test_it_tells_when_the_windows_themselves_say_so(stored: Opened, kind: RuleType) -> None:
    days = 6 if rule(kind).watched.window in HOURLY else DAYS

    async def work(store: EventStore) -> None:
        ends = await ends_of_windows(store, rule(kind), days)
        values = sorted(value for found in ends.values() for value in found.values())
        assert values, "the made-up calls should measure something"
        watched = rule(kind, threshold=max(2, values[len(values) // 2]))
        found = await preview(store, watched, NOW, cooldown_seconds=COOLDOWN)
        since = last_days(days, NOW, ZoneInfo(watched.zone)).start_us
        if watched.watched.window == "last hour":
            since += HOUR_US  # what the hour before had told is not known to `replayed`
            assert [one for one in found.fired if one.at > since] == [
                one for one in replayed(watched, ends) if one.at > since
            ]
        else:
            assert_told(watched, [one for one in found.fired if one.at > since], ends)
        assert len(found.days) == DAYS

    stored.run(work)


def assert_told(watched: Rule, fired: Sequence[Fired], ends: Ends) -> None:
    """Each step that a window ends beyond was told in it, once; and nothing else, for a sum."""
    assert fired
    (start, _), *later = ends.items()  # the first window may have told before what is shown
    for end, measured in later:
        for step in watched.steps:
            expected = {
                subject for subject, value in measured.items() if value >= watched.level(step)
            }
            told = [one.subject for one in fired if start < one.at <= end and one.step == step]
            assert expected <= set(told)
            if watched.type != "cost_forecast":  # which may have been beyond on the way
                assert sorted(told) == sorted(expected)
        start = end
    for one in fired:
        assert one.value >= watched.level(one.step)
        if watched.watched.window in {"hour", "day"} and one.at in ends:
            assert one.value == ends[one.at][one.subject]


def replayed(watched: Rule, ends: Ends) -> list[Fired]:
    told: dict[Place, Standing] = {}
    found = []
    for at, values in ends.items():
        for one in transitions(watched, 0, values, told, now_us=at, cooldown_seconds=COOLDOWN):
            told[one.place] = Standing(one.told, at)
            if one.told == "triggered":
                found.append(Fired(at, one.place.step, one.place.subject, one.value))
    return found


def test_a_monthly_budget_is_passed_on_the_day_that_passed_it(tmp_path: Path) -> None:
    zone = "UTC"
    day = [
        CAST.event(occurred_at=NOW - back * DAY_US, cost=CAST.cost(1_000, 0)) for back in range(28)
    ]

    async def work(store: EventStore) -> None:
        watched = rule("monthly_cost", threshold=10_000, steps=(50, 100), zone=zone)
        found = await preview(store, watched, NOW, cooldown_seconds=0)
        assert [(one.step, one.value) for one in found.fired] == [(50, 5_000), (100, 10_000)]
        first = NOW - 27 * DAY_US - (NOW - 27 * DAY_US) % DAY_US
        assert [one.at for one in found.fired] == [first + 5 * DAY_US, first + 10 * DAY_US]
        assert [one.value for one in found.days][-28:] == [1_000 * n for n in range(1, 29)]
        assert {one.value for one in found.days[:-28]} == {None}

    Opened(tmp_path / "data", NOW).after([day], work)

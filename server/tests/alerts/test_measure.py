"""What each type of rule measures of real events: failures, free and unpriced ones included."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from server.tests.alerts.evening import CAST, Evening, at
from tokenwatcher_server.alerts.measure import LEAST_CALLS, Asked, observe
from tokenwatcher_server.alerts.rule import RULE_TYPES, Rule, RuleType
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId

NOW = "2026-11-11T12:30:00"  # a Wednesday
FAILED = {"status": "error", "event_type": "error"}


def event(evening: Evening, when: str, **fields: Any) -> PricedEvent:
    """A call that cost 10 and took a second, unless it says otherwise."""
    usual = {"cost": CAST.cost(10, 0), "latency_ms": 1_000, "workspace_id": evening.workspace.id}
    return CAST.event(**usual | fields, occurred_at=at(when))


def day(evening: Evening) -> list[PricedEvent]:
    """What happened: twenty calls in this hour, and a few before it."""
    free, unpriced = CAST.cost(0, 0), CAST.unpriced()
    this_hour = "2026-11-11T12:10:00"
    return [
        *(event(evening, this_hour, user_id="ann") for _ in range(LEAST_CALLS - 5)),
        event(evening, this_hour, user_id="ben", model="o3", provider="other"),
        event(evening, this_hour, user_id="ben", tags={"team": "search"}),
        event(evening, this_hour, cost=free, input_text=1_000, user_id="free"),
        event(evening, this_hour, cost=unpriced, user_id="unpriced"),
        event(evening, this_hour, **FAILED, cost=CAST.cost(4, 0), latency_ms=9_000),
        event(evening, "2026-11-11T09:00:00", tags={"team": "chat"}),
        event(evening, "2026-11-10T12:10:00"),
        event(evening, "2026-11-09T00:00:00"),
        event(evening, "2026-11-08T23:59:59"),
        event(evening, "2026-11-01T00:00:00"),
        event(evening, "2026-10-31T23:59:59", cost=CAST.cost(10_000, 0)),
    ]


IN_HOUR = 17 * 10 + 4
IN_DAY = IN_HOUR + 10
IN_MONTH = IN_DAY + 4 * 10
TOKENS = 20 * 30 + 990 + 30
EXPECTED: Mapping[RuleType, Mapping[str, int]] = {
    "hourly_cost": {"": IN_HOUR},
    "daily_cost": {"": IN_DAY},
    "weekly_cost": {"": IN_DAY + 20},
    "monthly_cost": {"": IN_MONTH},
    "cost_forecast": {"": IN_MONTH * 30 * 48 // (10 * 48 + 25)},
    "daily_tokens": {"": TOKENS},
    "model_daily_cost": {"": 10},
    "user_daily_cost": {"ann": 150, "ben": 20, "free": 0},
    "tag_cost": {"search": 10, "chat": 10},
    "error_rate": {"": 500},
    "unpriced_events": {"": 1},
}


async def measured(evening: Evening, rule: Rule) -> Mapping[str, int]:
    [seen] = await observe(evening.store, [Asked(rule, evening.clock.now_us())])
    return seen.values


def asked(kind: RuleType) -> dict[str, Any]:
    needed = {"model_daily_cost": {"model": "o3"}, "tag_cost": {"tag_key": "team"}}.get(kind, {})
    return {"type": kind, **needed}


def test_each_type_counts_what_it_says(tmp_path: Path) -> None:
    async def work() -> None:
        async with Evening(tmp_path, NOW) as evening:
            await evening.store.append([day(evening)])
            for kind, expected in EXPECTED.items():
                found = await measured(evening, evening.rule_with(**asked(kind)))
                assert found == expected, kind
            [latency] = (await measured(evening, evening.rule_with(type="latency_p95"))).values()
            assert 1_000 <= latency <= 9_000

    asyncio.run(work())
    assert (*dict.fromkeys(RULE_TYPES),) == RULE_TYPES
    compared = {"latency_p95", "cost_anomaly", "prompt_growth"}  # the last two in files of theirs
    assert set(RULE_TYPES) == EXPECTED.keys() | compared


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ({"provider": "other"}, {"": 10}),
        ({"model": "o3"}, {"": 10}),
        ({"tag_key": "team", "tag_value": "search"}, {"": 10}),
        ({"provider": "openai", "tag_key": "team", "tag_value": "chat"}, {"": 10}),
        ({"provider": "nobody"}, {"": 0}),
        ({"project_id": CAST.shop}, {"": IN_DAY}),
        ({"project_id": CAST.chat}, {"": 0}),
    ],
)
def test_a_rule_is_narrowed_to_what_it_names(
    tmp_path: Path, narrowed: dict[str, Any], expected: Mapping[str, int]
) -> None:
    async def work() -> None:
        async with Evening(tmp_path, NOW) as evening:
            others = WorkspaceId(await evening.another_workspace())
            foreign = [event(evening, NOW, workspace_id=others, project_id=ProjectId("elsewhere"))]
            await evening.store.append([[*day(evening), *foreign]])
            found = await measured(evening, evening.rule_with(type="daily_cost", **narrowed))
            assert {subject: value for subject, value in found.items() if value} == {
                subject: value for subject, value in expected.items() if value
            }

    asyncio.run(work())


def test_free_and_failed_calls_alone_pass_no_budget_and_unpriced_ones_are_no_zero(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        async with Evening(tmp_path, NOW, type="daily_cost", threshold=1) as evening:
            free = event(evening, NOW, cost=CAST.cost(0, 0))
            failed = event(evening, NOW, cost=CAST.cost(0, 0), **FAILED)
            unpriced = event(evening, NOW, cost=CAST.unpriced())
            await evening.store.append([[unpriced]])
            assert await measured(evening, evening.rule_with()) == {}
            await evening.store.append([[free, failed]])
            assert await measured(evening, evening.rule_with()) == {"": 0}
            assert await evening.watch.evaluate() == 0
            watched = evening.rule_with(type="unpriced_events")
            assert await measured(evening, watched) == {"": 1}

    asyncio.run(work())

"""What is spent in a window's last moments and arrives in the next still tells."""

import asyncio
from pathlib import Path

import pytest

from server.tests.alerts.evening import Evening, at
from tokenwatcher_server.alerts.wording import headline


def test_a_months_last_event_that_arrives_in_the_next_month_passes_the_months_budget(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        async with Evening(tmp_path, "2026-11-30T23:58:00") as evening:
            await evening.spend(6, when="2026-11-30T23:58:00", now="2026-11-30T23:58:00")
            assert await evening.told() == []
            await evening.spend(5, when="2026-11-30T23:59:59", now="2026-12-01T00:00:30")
            [alert] = await evening.told()
            assert (alert.value, alert.late) == ("0.000000000011", True)
            assert headline(alert).endswith("in the window that has just ended")
            await evening.spend(9, when="2026-11-30T23:59:59", now="2026-12-01T00:10:00")
            await evening.spend(9, when="2026-12-01T00:10:00", now="2026-12-01T00:10:00")
            assert len(await evening.told()) == 1
            await evening.spend(1, when="2026-12-01T00:20:00", now="2026-12-01T00:20:00")
            december, _ = await evening.told()
            assert (december.value, december.late) == ("0.00000000001", False)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("now", "kind", "is_told"),
    [
        ("2026-12-01T23:59:59", "monthly_cost", True),
        ("2026-12-02T00:00:00", "monthly_cost", False),
        ("2026-12-01T23:59:59", "daily_cost", True),
        ("2026-12-01T00:59:59", "hourly_cost", True),
        ("2026-12-01T01:00:00", "hourly_cost", False),
        ("2026-12-01T12:00:00", "cost_forecast", False),
    ],
)
def test_a_window_is_still_looked_at_for_a_day_or_an_hour(
    tmp_path: Path, now: str, kind: str, is_told: bool
) -> None:
    async def work() -> bool:
        async with Evening(tmp_path, now, type=kind) as evening:
            await evening.spend(99, when="2026-11-30T23:59:59", now=now)
            return bool(await evening.told())

    assert asyncio.run(work()) is is_told


@pytest.mark.parametrize("since", ["created_at", "changed_at", "muted_until"])
def test_a_window_that_ended_before_the_rule_watched_it_is_left_alone(
    tmp_path: Path, since: str
) -> None:
    async def work(folder: Path, moment: str) -> bool:
        now = "2026-12-01T00:30:00"
        async with Evening(folder, now, **{since: at(moment)}) as evening:
            await evening.spend(99, when="2026-11-30T23:59:59", now=now)
            return bool(await evening.told())

    assert not asyncio.run(work(tmp_path / "after", "2026-12-01T00:20:00"))
    assert asyncio.run(work(tmp_path / "before", "2026-11-30T23:59:59"))

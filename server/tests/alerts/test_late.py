"""What is spent in a window's last moments and arrives in the next still tells."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from server.tests.stores.conftest import Cast
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.rules import history, save_rule
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.watch import Watch
from tokenwatcher_server.alerts.wording import headline
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import FrozenClock, to_us
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.policy import Policy
from tokenwatcher_server.stores import open_store

CAST = Cast()


def at(text: str) -> int:
    return to_us(datetime.fromisoformat(f"{text}Z"))


class Evening:
    """A month's budget of 10, and a clock that is moved by hand."""

    def __init__(self, folder: Path, now: str, **rule: Any) -> None:
        self.folder, self.clock = folder, FrozenClock(at(now))
        self.fields = rule

    async def __aenter__(self) -> "Evening":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(control_url(None, self.folder))
        await migrate(self.database)
        async with self.database.transaction() as connection:
            self.workspace = await create_workspace(connection, "Company", 0)
            self.rule = Rule(
                **{"id": "r", "workspace_id": self.workspace.id, "project_id": None,
                   "name": "Budget", "type": "monthly_cost", "threshold": 10} | self.fields
            )  # fmt: skip
            await save_rule(connection, self.rule)
        self.store = await open_store(None, self.folder / "events", self.clock)
        gate, seal = Gate(Policy()), Seal(b"s" * 32)
        deliveries = Deliveries(self.database, self.clock, gate, None, seal, None)
        self.watch = Watch(self.database, self.store, self.clock, deliveries, 3_600)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()
        await self.database.close()

    async def spend(self, amount: int, *, when: str, now: str) -> None:
        self.clock.advance(seconds=(at(now) - self.clock.now_us()) / 1e6)
        event = CAST.event(
            workspace_id=self.workspace.id, occurred_at=at(when), cost=CAST.cost(amount, 0)
        )
        await self.store.append([[event]])
        await self.watch.evaluate()

    async def told(self) -> list[Alert]:
        async with self.database.reading() as connection:
            return await history(connection, [self.workspace.id], 100)


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


def test_a_window_is_left_alone_an_hour_after_its_end_and_before_its_rule(tmp_path: Path) -> None:
    async def work(folder: Path, now: str, created: str) -> list[Alert]:
        async with Evening(folder, now, created_at=at(created)) as evening:
            await evening.spend(99, when="2026-11-30T23:59:59", now=now)
            return await evening.told()

    late = asyncio.run(work(tmp_path / "late", "2026-12-01T01:00:00", "2026-11-01T00:00:00"))
    new = asyncio.run(work(tmp_path / "new", "2026-12-01T00:30:00", "2026-12-01T00:20:00"))
    assert (late, new) == ([], [])

"""A control database with a rule, a store of events, and a clock that is moved by hand."""

from datetime import datetime
from pathlib import Path
from typing import Any

from server.tests.stores.conftest import Cast
from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channel_store import Listed, add_channel
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.rules import history, save_rule
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.watch import Watch
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
    """A month's budget of 10, unless the fields of the rule say otherwise."""

    def __init__(self, folder: Path, now: str, **rule: Any) -> None:
        self.folder, self.clock = folder, FrozenClock(at(now))
        self.fields, self._seal = rule, Seal(b"s" * 32)

    async def __aenter__(self) -> "Evening":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(control_url(None, self.folder))
        await migrate(self.database)
        async with self.database.transaction() as connection:
            self.workspace = await create_workspace(connection, "Company", 0)
            await save_rule(connection, self.rule_with())
        self.store = await open_store(None, self.folder / "events", self.clock)
        gate = Gate(Policy())
        self.deliveries = Deliveries(self.database, self.clock, gate, None, self._seal, None)
        self.watch = Watch(self.database, self.store, self.clock, self.deliveries, 3_600)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()
        await self.database.close()

    def rule_with(self, **fields: Any) -> Rule:
        usual: dict[str, Any] = {
            "id": "r",
            "workspace_id": self.workspace.id,
            "project_id": None,
            "name": "Budget",
            "type": "monthly_cost",
            "threshold": 10,
        }
        return Rule(**usual | self.fields | fields)

    async def another_workspace(self) -> str:
        async with self.database.transaction() as connection:
            return (await create_workspace(connection, "Another", 0)).id

    async def add_channel(self) -> None:
        listed = Listed(
            "c", self.workspace.id, "slack", "n", "h", enabled=True, created_at=0
        )  # fmt: skip
        channel = Channel(id="c", kind="slack", name="n", url="https://x.example")
        async with self.database.transaction() as connection:
            await add_channel(connection, self._seal, listed, channel)

    async def append(self, amount: int, *, when: str, **fields: Any) -> None:
        fields = {"cost": CAST.cost(amount, 0), "occurred_at": at(when)} | fields
        event = CAST.event(workspace_id=self.workspace.id, **fields)
        await self.store.append([[event]])

    async def spend(self, amount: int, *, when: str, now: str) -> None:
        self.move_to(now)
        await self.append(amount, when=when)
        await self.watch.evaluate()

    def move_to(self, now: str) -> None:
        self.clock.advance(seconds=(at(now) - self.clock.now_us()) / 1e6)

    async def told(self, limit: int = 100) -> list[Alert]:
        """Newest first."""
        async with self.database.reading() as connection:
            return await history(connection, [self.workspace.id], limit)

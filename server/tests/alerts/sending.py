"""A control database with channels that lead where a test wants, and what is owed to them."""

from pathlib import Path

import msgspec

from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.alert import alert_of
from tokenwatcher_server.alerts.channel_store import Listed, add_channel
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.outbox import Attempt, Delivery, attempts_of, enqueue, find_delivery
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import Clock, SystemClock
from tokenwatcher_server.kernel.ids import new_id
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail

SECRETS = {"webhook": (new_secret(),), "pagerduty": ("0123456789abcdef0123456789abcdef",)}


class Place(msgspec.Struct, frozen=True):
    kind: str
    url: str


class Office:
    """What sends alerts, without a server around it."""

    def __init__(self, folder: Path, gate: Gate, mail: Mail | None, clock: Clock) -> None:
        self.database = Database(control_url(None, folder))
        self.clock, self._seal = clock, Seal(b"s" * 32)
        self._gate, self._mail = gate, mail
        self.deliveries = self.another()

    async def __aenter__(self) -> "Office":
        await migrate(self.database)
        async with self.database.transaction() as connection:
            self._workspace = await create_workspace(connection, "Company", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.database.close()

    def another(self) -> Deliveries:
        """One more that sends, as another process would."""
        return Deliveries(self.database, self.clock, self._gate, self._mail, self._seal, None)

    async def owe(self, place: Place) -> str:
        """Make a channel, owe it an alert, and give the delivery's id."""
        home, found = self._workspace.id, new_id()
        listed = Listed(found, home, place.kind, "n", "h", enabled=True, created_at=0)
        secrets = SECRETS.get(place.kind, ())
        channel = Channel(id=found, kind=place.kind, name="n", url=place.url, secrets=secrets)
        rule = Rule(
            id="r", workspace_id=home, project_id=None, name="Budget", type="daily_cost",
            threshold=1,
        )  # fmt: skip
        alert = alert_of(rule, "Company", "triggered", 1, 2, 0)
        async with self.database.transaction() as connection:
            await add_channel(connection, self._seal, listed, channel)
            [made] = await enqueue(connection, alert, [found], self.clock.now_us())
        return made

    async def delivery(self, delivery_id: str) -> Delivery:
        async with self.database.reading() as connection:
            found = await find_delivery(connection, delivery_id)
        assert found is not None
        return found

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        async with self.database.reading() as connection:
            return (await attempts_of(connection, [delivery_id]))[delivery_id]


async def sent_once(
    folder: Path, places: list[Place], gate: Gate, mail: Mail | None = None
) -> list[Attempt]:
    """Owe one alert to a channel for each place, try all once, and give the attempts in order."""
    async with Office(folder, gate, mail, SystemClock()) as office:
        owed = [await office.owe(place) for place in places]
        while await office.deliveries.send_due():
            pass
        return [(await office.attempts(one))[0] for one in owed]

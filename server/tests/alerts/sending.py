"""Channels that lead where a test wants, and one attempt at everything that is owed to them."""

from pathlib import Path

import msgspec

from tokenwatcher_server.access.workspaces import create_workspace
from tokenwatcher_server.alerts.alert import Alert, alert_of
from tokenwatcher_server.alerts.channel_store import Listed, add_channel
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.deliveries import Deliveries
from tokenwatcher_server.alerts.outbox import Attempt, attempts_of, enqueue
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.sealing import Seal
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.ids import new_id
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.mail import Mail

SECRETS = {"webhook": (new_secret(),), "pagerduty": ("0123456789abcdef0123456789abcdef",)}


class Place(msgspec.Struct, frozen=True):
    kind: str
    url: str


async def sent_once(
    folder: Path, places: list[Place], gate: Gate, mail: Mail | None = None
) -> list[Attempt]:
    """Owe one alert to a channel for each place, try all once, and give the attempts in order."""
    database, seal, clock = Database(control_url(None, folder)), Seal(b"s" * 32), SystemClock()
    try:
        await migrate(database)
        async with database.transaction() as connection:
            workspace = await create_workspace(connection, "Company", 0)
            ids = [await _channel(connection, seal, workspace.id, place) for place in places]
            owed = [
                (await enqueue(connection, _alert(workspace.id), [one], clock.now_us()))[0]
                for one in ids
            ]
        deliveries = Deliveries(database, clock, gate, mail, seal, None)
        while await deliveries.send_due():
            pass
        async with database.reading() as connection:
            tried = await attempts_of(connection, owed)
        return [tried[one][0] for one in owed]
    finally:
        await database.close()


async def _channel(connection: object, seal: Seal, workspace_id: str, place: Place) -> str:
    found = new_id()
    listed = Listed(found, workspace_id, place.kind, "n", "h", enabled=True, created_at=0)
    channel = Channel(
        id=found, kind=place.kind, name="n", url=place.url, secrets=SECRETS.get(place.kind, ())
    )
    await add_channel(connection, seal, listed, channel)  # type: ignore[arg-type]
    return found


def _alert(workspace_id: str) -> Alert:
    rule = Rule(
        id="r", workspace_id=workspace_id, project_id=None, name="Budget", type="daily_cost",
        threshold=1,
    )  # fmt: skip
    return alert_of(rule, "Company", "triggered", 1, 2, 0)

"""Takes a person out of what alerts told: rules that watch each user name the one it is about."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.rule import subject_of
from tokenwatcher_server.alerts.rules import list_rules
from tokenwatcher_server.control.tables import alert_deliveries, alert_history, alert_standings
from tokenwatcher_server.kernel.ids import WorkspaceId

_BY_USER = "user_daily_cost"


async def forget_person(
    connection: AsyncConnection, workspaces: Sequence[WorkspaceId], user: str
) -> None:
    """Leave the alerts themselves, with their amounts, and say in none whom it was about."""
    rules = [
        rule.id
        for rule in await list_rules(connection, workspaces)
        if (watched := subject_of(rule)) is not None and watched.field == "user"
    ]
    standing = alert_standings.c
    await connection.execute(
        delete(alert_standings).where(standing.rule_id.in_(rules), standing.subject == user)
    )
    for table in (alert_history, alert_deliveries):
        told = await connection.execute(
            select(table.c.id, table.c.content).where(
                table.c.workspace_id.in_(workspaces), table.c.content.contains(_BY_USER)
            )
        )
        for row_id, content in told.all():
            alert = msgspec.json.decode(content, type=Alert)
            if alert.type == _BY_USER and alert.subject == user:
                nobody = msgspec.structs.replace(alert, subject=None)
                await connection.execute(
                    update(table)
                    .where(table.c.id == row_id)
                    .values(content=msgspec.json.encode(nobody).decode())
                )

"""Rules, and what they told, in the control database."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.evaluate import Place, Standing, Transition
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.control.tables import alert_history, alert_rules, alert_standings
from tokenwatcher_server.kernel.clock import DAY_US

Standings = Mapping[str, Mapping[Place, Standing]]
"""What was told last of each place, by rule."""

MOST_RULES = 200
"""In one workspace."""
STANDINGS_KEPT_US = 40 * DAY_US
"""Longer than the longest window."""


async def save_rule(connection: AsyncConnection, rule: Rule) -> None:
    """Add a rule, or put it in place of the one with its id."""
    content = msgspec.json.encode(rule).decode()
    changed = await connection.execute(
        update(alert_rules).where(alert_rules.c.id == rule.id).values(content=content)
    )
    if not changed.rowcount:
        await connection.execute(
            insert(alert_rules).values(
                id=rule.id,
                workspace_id=rule.workspace_id,
                content=content,
                created_at=rule.created_at,
            )
        )


async def list_rules(
    connection: AsyncConnection, workspaces: Sequence[str] | None = None
) -> list[Rule]:
    """The rules of some workspaces or of all, oldest first."""
    query = select(alert_rules.c.content).order_by(alert_rules.c.created_at, alert_rules.c.id)
    if workspaces is not None:
        query = query.where(alert_rules.c.workspace_id.in_(workspaces))
    found = (await connection.execute(query)).scalars()
    return [msgspec.json.decode(content, type=Rule) for content in found]


async def find_rule(connection: AsyncConnection, rule_id: str) -> Rule | None:
    query = select(alert_rules.c.content).where(alert_rules.c.id == rule_id)
    content = (await connection.execute(query)).scalar_one_or_none()
    return None if content is None else msgspec.json.decode(content, type=Rule)


async def delete_rule(connection: AsyncConnection, rule_id: str) -> None:
    """Remove a rule; its history stays."""
    await connection.execute(delete(alert_standings).where(alert_standings.c.rule_id == rule_id))
    await connection.execute(delete(alert_rules).where(alert_rules.c.id == rule_id))


async def delete_rules_of_project(
    connection: AsyncConnection, workspace_id: str, project_id: str
) -> None:
    """Remove the rules that watch a project which is removed."""
    for rule in await list_rules(connection, [workspace_id]):
        if rule.project_id == project_id:
            await delete_rule(connection, rule.id)


async def only_told_to(
    connection: AsyncConnection, workspace_id: str, channel_id: str
) -> list[Rule]:
    """The rules that would tell nobody they name, were the channel not there."""
    found = await list_rules(connection, [workspace_id])
    return [rule for rule in found if rule.channel_ids == (channel_id,)]


async def forget_channel(connection: AsyncConnection, workspace_id: str, channel_id: str) -> None:
    """Have no rule name a channel that is removed; one that names none is left tells all."""
    for rule in await list_rules(connection, [workspace_id]):
        if channel_id in rule.channel_ids:
            others = tuple(one for one in rule.channel_ids if one != channel_id)
            await save_rule(connection, msgspec.structs.replace(rule, channel_ids=others))


async def standings(
    connection: AsyncConnection, rule_ids: Sequence[str]
) -> dict[str, dict[Place, Standing]]:
    """What was told, by rule."""
    found: dict[str, dict[Place, Standing]] = {rule_id: {} for rule_id in rule_ids}
    query = select(alert_standings).where(alert_standings.c.rule_id.in_(rule_ids))
    for row in await connection.execute(query):
        place = Place(row.step, row.subject, row.window_start)
        found[row.rule_id][place] = Standing(row.told, row.at)
    return found


async def tell(
    connection: AsyncConnection,
    rule_id: str,
    transition: Transition,
    last: Standing | None,
    now_us: int,
) -> bool:
    """Write a transition down; False where anything was told since `last`, so it tells once."""
    place, columns = transition.place, alert_standings.c
    if last is not None:
        changed = await connection.execute(
            update(alert_standings)
            .where(
                columns.rule_id == rule_id,
                columns.step == place.step,
                columns.subject == place.subject,
                columns.window_start == place.window_start,
                columns.told == last.told,
                columns.at == last.at,
            )
            .values(told=transition.told, at=now_us)
        )
        return changed.rowcount == 1
    try:
        async with connection.begin_nested():
            await connection.execute(
                insert(alert_standings).values(
                    rule_id=rule_id,
                    step=place.step,
                    subject=place.subject,
                    window_start=place.window_start,
                    told=transition.told,
                    at=now_us,
                )
            )
    except IntegrityError:
        return False
    return True


async def forget_old_standings(connection: AsyncConnection, now_us: int) -> None:
    columns = alert_standings.c
    old = and_(columns.window_start > 0, columns.window_start < now_us - STANDINGS_KEPT_US)
    gone = and_(columns.window_start == 0, columns.told == "resolved")
    await connection.execute(
        delete(alert_standings).where(or_(old, and_(gone, columns.at < now_us - DAY_US)))
    )


async def add_to_history(connection: AsyncConnection, alert: Alert) -> None:
    await connection.execute(
        insert(alert_history).values(
            id=alert.id,
            workspace_id=alert.workspace_id,
            rule_id=alert.rule_id,
            content=msgspec.json.encode(alert).decode(),
            at=alert.triggered_at,
        )
    )


async def history(
    connection: AsyncConnection, workspaces: Sequence[str], limit: int
) -> list[Alert]:
    """What was told, newest first."""
    query = (
        select(alert_history.c.content)
        .where(alert_history.c.workspace_id.in_(workspaces))
        .order_by(alert_history.c.at.desc(), alert_history.c.id.desc())
        .limit(limit)
    )
    found = (await connection.execute(query)).scalars()
    return [msgspec.json.decode(content, type=Alert) for content in found]

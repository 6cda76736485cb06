"""What has to be delivered, in the control database: at least once, with every attempt kept."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import case, delete, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.control.tables import alert_attempts, alert_channels, alert_deliveries
from tokenwatcher_server.kernel.clock import DAY_US, MICROSECONDS
from tokenwatcher_server.kernel.ids import new_id

CLAIMED_US = 90 * MICROSECONDS
"""How long a delivery is its claimer's, longer than sending may take: one whose process dies is
taken again afterwards."""
KEPT_US = 90 * DAY_US
_deliveries = alert_deliveries.c


DeliveryState = Literal["pending", "sent", "dead"]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    workspace_id: str
    channel_id: str
    alert: Alert
    state: str
    attempts: int
    next_attempt_at: int
    created_at: int
    sent_at: int | None


class Attempt(msgspec.Struct, frozen=True):
    """`status` is None where no answer came; `error` then says why, in words for people."""

    number: int
    at: int
    status: int | None
    latency_ms: int | None
    error: str | None


async def enqueue(
    connection: AsyncConnection, alert: Alert, channel_ids: Sequence[str], now_us: int
) -> list[str]:
    """Owe an alert to the channels of its workspace that are on: to those named, or to all.

    To be called in the transaction that makes the alert. Gives the ids of the deliveries.
    """
    query = select(alert_channels.c.id).where(
        alert_channels.c.workspace_id == alert.workspace_id, alert_channels.c.enabled
    )
    if channel_ids:
        query = query.where(alert_channels.c.id.in_(channel_ids))
    made = []
    for channel_id in (await connection.execute(query)).scalars().all():
        made.append(new_id())
        await connection.execute(
            insert(alert_deliveries).values(
                id=made[-1],
                workspace_id=alert.workspace_id,
                channel_id=channel_id,
                content=msgspec.json.encode(alert).decode(),
                state="pending",
                attempts=0,
                next_attempt_at=now_us,
                created_at=now_us,
            )
        )
    return made


async def claim(connection: AsyncConnection, now_us: int, most: int) -> list[Delivery]:
    """Take deliveries that are due, those never tried first; nobody else has them for a while."""
    query = (
        select(alert_deliveries)
        .where(_deliveries.state == "pending", _deliveries.next_attempt_at <= now_us)
        .order_by(_deliveries.attempts, _deliveries.next_attempt_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = []
    for row in (await connection.execute(query)).mappings().all():
        changed = await connection.execute(
            update(alert_deliveries)
            .where(
                _deliveries.id == row["id"],
                _deliveries.state == "pending",
                _deliveries.next_attempt_at == row["next_attempt_at"],
            )
            .values(next_attempt_at=now_us + CLAIMED_US)
        )
        if changed.rowcount == 1:
            taken.append(_delivery(dict(row) | {"next_attempt_at": now_us + CLAIMED_US}))
    return taken


async def next_due(connection: AsyncConnection) -> int | None:
    """When the next attempt is due, None where nothing is owed."""
    query = (
        select(_deliveries.next_attempt_at)
        .where(_deliveries.state == "pending")
        .order_by(_deliveries.next_attempt_at)
        .limit(1)
    )
    found: int | None = (await connection.execute(query)).scalar_one_or_none()
    return found


async def settle(
    connection: AsyncConnection, delivery: Delivery, attempt: Attempt, *, again_at: int | None
) -> None:
    """Keep an attempt: sent where it was answered well, else tried again or given up.

    Where somebody had it sent again meanwhile, a failure changes nothing of that.
    """
    sent = attempt.error is None
    state = "sent" if sent else "dead" if again_at is None else "pending"
    next_at = attempt.at if again_at is None else again_at
    still_ours = or_(_deliveries.next_attempt_at == delivery.next_attempt_at, literal(sent))
    changed = await connection.execute(
        update(alert_deliveries)
        .where(_deliveries.id == delivery.id)
        .values(
            state=case((still_ours, state), else_=_deliveries.state),
            attempts=_deliveries.attempts + 1,
            next_attempt_at=case((still_ours, next_at), else_=_deliveries.next_attempt_at),
            sent_at=attempt.at if sent else _deliveries.sent_at,
        )
        .returning(_deliveries.attempts)
    )
    number: int | None = changed.scalar_one_or_none()
    if number is None:
        return  # its channel was removed, and what it is owed with it
    values = msgspec.structs.asdict(attempt) | {"delivery_id": delivery.id, "number": number}
    await connection.execute(insert(alert_attempts).values(values))


async def send_again(connection: AsyncConnection, delivery_id: str, now_us: int) -> None:
    """Owe a delivery anew, now."""
    await connection.execute(
        update(alert_deliveries)
        .where(_deliveries.id == delivery_id)
        .values(state="pending", next_attempt_at=now_us)
    )


async def list_deliveries(
    connection: AsyncConnection,
    workspaces: Sequence[str],
    limit: int,
    state: DeliveryState | None = None,
) -> list[Delivery]:
    """Newest first; of one state, if one is named."""
    query = (
        select(alert_deliveries)
        .where(_deliveries.workspace_id.in_(workspaces))
        .order_by(_deliveries.created_at.desc(), _deliveries.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(_deliveries.state == state)
    return [_delivery(dict(row)) for row in (await connection.execute(query)).mappings()]


async def find_delivery(connection: AsyncConnection, delivery_id: str) -> Delivery | None:
    query = select(alert_deliveries).where(_deliveries.id == delivery_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _delivery(dict(row))


async def attempts_of(
    connection: AsyncConnection, delivery_ids: Sequence[str]
) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {delivery_id: [] for delivery_id in delivery_ids}
    query = (
        select(alert_attempts)
        .where(alert_attempts.c.delivery_id.in_(delivery_ids))
        .order_by(alert_attempts.c.number)
    )
    for row in (await connection.execute(query)).mappings():
        values = dict(row)
        found[values.pop("delivery_id")].append(Attempt(**values))
    return found


async def forget_old_deliveries(connection: AsyncConnection, now_us: int) -> None:
    await connection.execute(
        delete(alert_deliveries).where(
            _deliveries.state != "pending", _deliveries.created_at < now_us - KEPT_US
        )
    )


def _delivery(row: dict[str, Any]) -> Delivery:
    return Delivery(alert=msgspec.json.decode(row.pop("content"), type=Alert), **row)

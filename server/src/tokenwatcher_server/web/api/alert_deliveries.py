"""What became of each alert that is owed to a channel."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from tokenwatcher_server.alerts import outbox
from tokenwatcher_server.alerts.outbox import Attempt, Delivery, DeliveryState
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.errors import not_found
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api.alert_views import AlertView, alert_view
from tokenwatcher_server.web.api.workspaces import asked_workspaces
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
MOST_DELIVERIES, DEFAULT_DELIVERIES = 500, 100


class AttemptView(msgspec.Struct, frozen=True, rename="camel"):
    number: int
    at: str
    status: int | None
    latency_ms: int | None
    error: str | None


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    channel_id: str
    state: str
    created_at: str
    next_attempt_at: str | None
    alert: AlertView
    attempts: list[AttemptView]


class ManyDeliveries(msgspec.Struct, frozen=True):
    deliveries: list[DeliveryView]


class OneDelivery(msgspec.Struct, frozen=True):
    delivery: DeliveryView


@get("/api/alert-deliveries", summary="What was sent where, newest first", right="alerts.change")
async def list_deliveries(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_DELIVERIES)] = DEFAULT_DELIVERIES,
    in_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
) -> ManyDeliveries:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await outbox.list_deliveries(connection, workspaces, limit, in_state)
        attempts = await outbox.attempts_of(connection, [one.id for one in found])
    return ManyDeliveries([_delivery_view(one, attempts[one.id]) for one in found])


@post(
    "/api/alert-deliveries/{delivery_id:str}/retry",
    status_code=200,
    summary="Send an alert again, now",
    right="alerts.change",
)
async def retry_delivery(
    request: AnyRequest, principal: Caller, delivery_id: FromPath[str]
) -> OneDelivery:
    services = services_of(request)
    async with services.database.transaction() as connection:
        found = await outbox.find_delivery(connection, delivery_id)
        if found is None or found.workspace_id not in principal.scope.workspaces:
            raise not_found("There is no such delivery in what you may see.")
        principal.check(WorkspaceId(found.workspace_id))
        await outbox.send_again(connection, found.id, services.clock.now_us())
        entry = Entry(
            action="delivery.retry",
            object_kind="delivery",
            object_name=found.alert.rule_name,
            object_id=found.id,
            workspace_id=found.workspace_id,
        )
        await note(connection, request, principal, entry)
        again = await outbox.find_delivery(connection, found.id) or found
        attempts = await outbox.attempts_of(connection, [found.id])
    services.deliveries.nudge()
    return OneDelivery(_delivery_view(again, attempts[found.id]))


def _delivery_view(delivery: Delivery, attempts: list[Attempt]) -> DeliveryView:
    pending = delivery.state == "pending"
    return DeliveryView(
        id=delivery.id,
        channel_id=delivery.channel_id,
        state=delivery.state,
        created_at=iso(delivery.created_at),
        next_attempt_at=iso(delivery.next_attempt_at) if pending else None,
        alert=alert_view(delivery.alert),
        attempts=[
            AttemptView(one.number, iso(one.at), one.status, one.latency_ms, one.error)
            for one in attempts
        ],
    )


ROUTES = (list_deliveries, retry_delivery)

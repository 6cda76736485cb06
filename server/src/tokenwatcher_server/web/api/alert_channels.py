"""Where alerts are sent, and what became of each delivery."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.alerts import channel_store as stored
from tokenwatcher_server.alerts import outbox
from tokenwatcher_server.alerts.channel_store import Listed
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.outbox import Attempt, Delivery
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.kernel.clock import DAY_US, iso
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId, new_id
from tokenwatcher_server.web.api.alert_views import AlertView, alert_view
from tokenwatcher_server.web.api.channel_place import place_of
from tokenwatcher_server.web.api.workspaces import Name, asked_workspaces, visible
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
ChannelKind = Literal["webhook", "slack", "discord", "teams", "email", "pagerduty"]
LONGEST_URL = 2000
MOST_DELIVERIES, DEFAULT_DELIVERIES = 500, 100
WARNING = "This is the only time the signing secret is shown."
OVERLAP_US = DAY_US
"""How long the secret before it signs beside a new one, for receivers to change theirs."""
ROTATED = f"{WARNING} The one before it signs too for 24 hours."


class ChannelBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    workspace_id: str
    kind: ChannelKind
    name: Name
    url: Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)]
    """For `email` the address, for `pagerduty` the integration key."""


class ChannelChange(msgspec.Struct, frozen=True):
    enabled: bool


class ChannelView(msgspec.Struct, frozen=True, rename="camel"):
    """The URL is a secret: its host is all that is shown of it."""

    id: str
    workspace_id: str
    kind: str
    name: str
    host: str
    enabled: bool
    created_at: str


class NewChannel(msgspec.Struct, frozen=True, rename="camel"):
    channel: ChannelView
    signing_secret: str | None
    """What a webhook's receiver checks signatures with."""
    warning: str | None


class OneChannel(msgspec.Struct, frozen=True):
    channel: ChannelView


class ManyChannels(msgspec.Struct, frozen=True):
    channels: list[ChannelView]


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


def view(listed: Listed) -> ChannelView:
    fields = msgspec.structs.asdict(listed) | {"created_at": iso(listed.created_at)}
    return ChannelView(**fields)


def _entry(verb: str, listed: Listed, *, before: object = None, after: object = None) -> Entry:
    return Entry(
        action=f"channel.{verb}",
        object_kind="channel",
        object_name=listed.name,
        object_id=listed.id,
        workspace_id=listed.workspace_id,
        before=before,
        after=after,
    )


async def visible_channel(request: AnyRequest, principal: Principal, channel_id: str) -> Listed:
    async with services_of(request).database.reading() as connection:
        found = await stored.find_channel(connection, channel_id)
    if found is None or found.workspace_id not in principal.scope.workspaces:
        raise not_found("There is no such channel in what you may see.")
    principal.check(WorkspaceId(found.workspace_id))
    return found


@get("/api/alert-channels", summary="Where alerts are sent", right="alerts.change")
async def list_channels(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
) -> ManyChannels:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await stored.list_channels(connection, workspaces)
    return ManyChannels([view(one) for one in found])


@post("/api/alert-channels", summary="Add a channel for alerts", right="alerts.change")
async def create_channel(
    request: AnyRequest, principal: Caller, data: JSONBody[ChannelBody]
) -> NewChannel:
    services = services_of(request)
    workspace = await visible(request, principal, data.workspace_id)
    place = await place_of(request, data.kind, data.url)
    secret = place.secrets[0] if data.kind == "webhook" else None
    listed = Listed(
        id=new_id(),
        workspace_id=workspace.id,
        kind=data.kind,
        name=data.name,
        host=place.shown,
        enabled=True,
        created_at=services.clock.now_us(),
    )
    channel = Channel(
        id=listed.id,
        kind=data.kind,
        name=data.name,
        url=place.url,
        secrets=place.secrets,
    )
    async with services.database.transaction() as connection:
        if len(await stored.list_channels(connection, [workspace.id])) >= stored.MOST_CHANNELS:
            raise AppError(
                Kind.CONFLICT,
                "TOO_MANY_CHANNELS",
                f"{stored.MOST_CHANNELS} a workspace are enough.",
            )
        await stored.add_channel(connection, services.seal, listed, channel)
        await note(connection, request, principal, _entry("create", listed, after=view(listed)))
    return NewChannel(view(listed), secret, None if secret is None else WARNING)


@patch("/api/alert-channels/{channel_id:str}", summary="Turn a channel on or off",
       right="alerts.change")  # fmt: skip
async def change_channel(
    request: AnyRequest,
    principal: Caller,
    channel_id: FromPath[str],
    data: JSONBody[ChannelChange],
) -> OneChannel:
    before = await visible_channel(request, principal, channel_id)
    after = msgspec.structs.replace(before, enabled=data.enabled)
    async with services_of(request).database.transaction() as connection:
        await stored.switch_channel(connection, before.id, on=data.enabled)
        entry = _entry("change", after, before=view(before), after=view(after))
        await note(connection, request, principal, entry)
    return OneChannel(view(after))


@post(
    "/api/alert-channels/{channel_id:str}/rotate",
    status_code=200,
    summary="Give a webhook a new signing secret; the old one signs too for a day",
    right="alerts.change",
)
async def rotate_channel(
    request: AnyRequest, principal: Caller, channel_id: FromPath[str]
) -> NewChannel:
    services = services_of(request)
    found = await visible_channel(request, principal, channel_id)
    if found.kind != "webhook":
        raise AppError(Kind.CONFLICT, "NOT_SIGNED", "Only webhooks are signed.")
    secret, until = new_secret(), services.clock.now_us() + OVERLAP_US
    async with services.database.transaction() as connection:
        await stored.rotate_secret(connection, services.seal, found.id, secret, until)
        await note(connection, request, principal, _entry("rotate", found))
    return NewChannel(view(found), secret, ROTATED)


@delete("/api/alert-channels/{channel_id:str}", summary="Remove a channel",
        right="alerts.change")  # fmt: skip
async def delete_channel(request: AnyRequest, principal: Caller, channel_id: FromPath[str]) -> None:
    found = await visible_channel(request, principal, channel_id)
    async with services_of(request).database.transaction() as connection:
        await stored.delete_channel(connection, found.id)
        await note(connection, request, principal, _entry("remove", found, before=view(found)))


@get("/api/alert-deliveries", summary="What was sent where, newest first", right="alerts.change")
async def list_deliveries(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
    limit: FromQuery[Annotated[int, Meta(ge=1, le=MOST_DELIVERIES)]] = DEFAULT_DELIVERIES,
) -> ManyDeliveries:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await outbox.list_deliveries(connection, workspaces, limit)
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


ROUTES = (
    list_channels,
    create_channel,
    change_channel,
    rotate_channel,
    delete_channel,
    list_deliveries,
    retry_delivery,
)

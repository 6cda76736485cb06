"""Where alerts are sent."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.alerts import channel_store as stored
from tokenwatcher_server.alerts.alert import alert_of
from tokenwatcher_server.alerts.channel_store import Listed
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.outbox import enqueue
from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.rules import forget_channel, only_told_to
from tokenwatcher_server.alerts.signing import new_secret
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.kernel.clock import DAY_US, iso
from tokenwatcher_server.kernel.errors import AppError, Kind, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId, new_id
from tokenwatcher_server.kernel.money import PICODOLLARS_PER_USD
from tokenwatcher_server.web.api.alert_views import Tested
from tokenwatcher_server.web.api.channel_place import place_of
from tokenwatcher_server.web.api.workspaces import Name, asked_workspaces, visible
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
ChannelKind = Literal["webhook", "slack", "discord", "teams", "email", "pagerduty"]
LONGEST_URL = 2000
TEST_THRESHOLD = 10 * PICODOLLARS_PER_USD
"""What a channel's test says was spent; no rule stands behind it."""
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


@post(
    "/api/alert-channels/{channel_id:str}/test",
    status_code=200,
    summary="Send a real alert, marked as a test, to one channel",
    right="alerts.change",
)
async def test_channel(request: AnyRequest, principal: Caller, channel_id: FromPath[str]) -> Tested:
    services = services_of(request)
    found = await visible_channel(request, principal, channel_id)
    if not found.enabled:
        raise AppError(Kind.CONFLICT, "CHANNEL_OFF", "The channel is off: turn it on first.")
    workspace = await visible(request, principal, found.workspace_id)
    now_us = services.clock.now_us()
    rule = Rule(
        id=found.id,
        workspace_id=found.workspace_id,
        project_id=None,
        name=f"Test of {found.name}",
        type="daily_cost",
        threshold=TEST_THRESHOLD,
    )
    alert = alert_of(rule, workspace.name, "test", rule.threshold, rule.threshold, now_us)
    async with services.database.transaction() as connection:
        made = await enqueue(connection, alert, [found.id], now_us)
        await note(connection, request, principal, _entry("test", found))
    services.deliveries.nudge()
    return Tested(success=True, deliveries=made)


@delete("/api/alert-channels/{channel_id:str}", summary="Remove a channel",
        right="alerts.change")  # fmt: skip
async def delete_channel(request: AnyRequest, principal: Caller, channel_id: FromPath[str]) -> None:
    found = await visible_channel(request, principal, channel_id)
    home = found.workspace_id
    async with services_of(request).database.transaction() as connection:
        if alone := await only_told_to(connection, home, found.id):
            raise AppError(
                Kind.CONFLICT,
                "ONLY_CHANNEL",
                f"It is the only channel of {alone[0].name}: choose another one for that first.",
            )
        await forget_channel(connection, home, found.id)
        await stored.delete_channel(connection, found.id)
        await note(connection, request, principal, _entry("remove", found, before=view(found)))


ROUTES = (
    list_channels,
    create_channel,
    change_channel,
    rotate_channel,
    delete_channel,
    test_channel,
)

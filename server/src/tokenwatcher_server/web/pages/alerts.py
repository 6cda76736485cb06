"""`/alerts`: rules with their value now, channels, what was told, and what became of it."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.alerts.rules import list_rules
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.api import alert_channels as channels_api
from tokenwatcher_server.web.api import alert_deliveries as deliveries_api
from tokenwatcher_server.web.api import alerts as api
from tokenwatcher_server.web.api.alert_channels import (
    ROTATED,
    ChannelBody,
    ChannelChange,
    ChannelView,
    ManyChannels,
    NewChannel,
)
from tokenwatcher_server.web.api.alert_deliveries import DeliveryView, ManyDeliveries
from tokenwatcher_server.web.api.alert_views import (
    AlertView,
    History,
    RuleChange,
)
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import action, back_to, body_of, fields_of
from tokenwatcher_server.web.pages.links import ALERTS
from tokenwatcher_server.web.pages.rule_rows import RuleRow, may_change, rule_row
from tokenwatcher_server.web.pages.viewer import AnyRequest, Names, Viewer, viewer_of
from tokenwatcher_server.web.services import services_of

SHOWN = 50
KINDS: Names = (
    ("slack", "Slack"),
    ("discord", "Discord"),
    ("teams", "Microsoft Teams"),
    ("email", "E-mail"),
    ("pagerduty", "PagerDuty"),
    ("webhook", "Webhook, signed"),
)


class Given(msgspec.Struct, frozen=True):
    """What was filled in for a channel that was refused; its place is a secret and is not."""

    name: str = ""
    kind: str = "slack"


class AlertsPage(msgspec.Struct, frozen=True, kw_only=True):
    rules: tuple[RuleRow, ...]
    channels: tuple[ChannelView, ...]
    history: tuple[AlertView, ...]
    deliveries: tuple[DeliveryView, ...]
    """Those that were given up first, for they need a person."""
    workspaces: Names
    """Where the viewer may change alerts."""
    kinds: Names
    made: NewChannel | None = None
    refused: str | None = None
    """Why a channel was not added, or not removed."""
    given: Given = Given()

    @property
    def may_make(self) -> bool:
        return bool(self.workspaces)

    @property
    def rotated(self) -> bool:
        """Whether the channel of `made` was there before."""
        return self.made is not None and self.made.warning == ROTATED

    def how_many(self, state: str) -> int:
        return sum(one.state == state for one in self.deliveries)

    def channel_name(self, channel_id: str) -> str:
        return next((one.name for one in self.channels if one.id == channel_id), "a channel")


@get(ALERTS, include_in_schema=False)
async def alerts_page(request: AnyRequest) -> Response[str]:
    return await _answer(request, await viewer_of(request))


@post(f"{ALERTS}/channels", include_in_schema=False, status_code=200, right="alerts.change")
async def create_channel(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    fields = await fields_of(request)
    try:
        body = body_of(fields, ChannelBody)
        create = action(channels_api.create_channel)
        made: NewChannel = await create(request, viewer.principal, body)
    except AppError as error:
        if error.kind not in {Kind.INVALID, Kind.CONFLICT}:
            raise
        given = Given(fields.get("name", ""), fields.get("kind", "slack"))
        answer = await _answer(request, viewer, refused=error.message, given=given)
        answer.status_code = 400
        return answer
    return await _answer(request, viewer, made)


@post(f"{ALERTS}/channels/{{channel_id:str}}/remove", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def remove_channel(request: AnyRequest, channel_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    try:
        await action(channels_api.delete_channel)(request, viewer.principal, channel_id)
    except AppError as error:
        if error.kind is not Kind.CONFLICT:
            raise
        answer = await _answer(request, viewer, refused=error.message)
        answer.status_code = 409
        return answer
    return back_to(ALERTS)


@post(f"{ALERTS}/channels/{{channel_id:str}}/rotate", include_in_schema=False,
      status_code=200, right="alerts.change")  # fmt: skip
async def rotate_channel(request: AnyRequest, channel_id: FromPath[str]) -> Response[str]:
    viewer = await viewer_of(request)
    rotate = action(channels_api.rotate_channel)
    made: NewChannel = await rotate(request, viewer.principal, channel_id)
    return await _answer(request, viewer, made)


@post(f"{ALERTS}/channels/{{channel_id:str}}/switch", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def switch_channel(request: AnyRequest, channel_id: FromPath[str]) -> Response[Any]:
    viewer, fields = await viewer_of(request), await fields_of(request)
    change = ChannelChange(enabled=fields.get("enabled") == "true")
    await action(channels_api.change_channel)(request, viewer.principal, channel_id, change)
    return back_to(ALERTS)


@post(f"{ALERTS}/channels/{{channel_id:str}}/test", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def test_channel(request: AnyRequest, channel_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(channels_api.test_channel)(request, viewer.principal, channel_id)
    return back_to(ALERTS)


@post(f"{ALERTS}/deliveries/{{delivery_id:str}}/retry", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def send_again(request: AnyRequest, delivery_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(deliveries_api.retry_delivery)(request, viewer.principal, delivery_id)
    return back_to(ALERTS)


@post(f"{ALERTS}/{{rule_id:str}}/test", include_in_schema=False, right="alerts.change")
async def test_rule(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(api.test_alert)(request, viewer.principal, rule_id)
    return back_to(ALERTS)


@post(f"{ALERTS}/{{rule_id:str}}/switch", include_in_schema=False, right="alerts.change")
async def switch_rule(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
    viewer, fields = await viewer_of(request), await fields_of(request)
    change = RuleChange(enabled=fields.get("enabled") == "true")
    await action(api.change_alert)(request, viewer.principal, rule_id, change)
    return back_to(ALERTS)


@post(f"{ALERTS}/{{rule_id:str}}/remove", include_in_schema=False, right="alerts.change")
async def remove_rule(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(api.delete_alert)(request, viewer.principal, rule_id)
    return back_to(ALERTS)


async def _answer(
    request: AnyRequest,
    viewer: Viewer,
    made: NewChannel | None = None,
    *,
    refused: str | None = None,
    given: Given = Given(),  # noqa: B008 - it is frozen
) -> Response[str]:
    services, principal = services_of(request), viewer.principal
    now_us = services.clock.now_us()
    async with services.database.reading() as connection:
        rules = await list_rules(connection, principal.scope.workspaces)
    measured = await api.measured_rules(request, rules)
    told: History = await action(api.alert_history)(request, principal, None, SHOWN)
    channels, sent, dead = ManyChannels([]), ManyDeliveries([]), ManyDeliveries([])
    if principal.may("alerts.change"):
        holding = principal.coming_for("alerts.change")
        channels = await action(channels_api.list_channels)(request, holding, None)
        listed = action(deliveries_api.list_deliveries)
        sent = await listed(request, holding, None, SHOWN)
        dead = await listed(request, holding, None, SHOWN, "dead")
    page = AlertsPage(
        rules=tuple(rule_row(viewer, one, now_us) for one in measured),
        channels=tuple(channels.channels),
        history=tuple(told.history),
        deliveries=(*dead.deliveries, *(one for one in sent.deliveries if one.state != "dead")),
        workspaces=tuple(one for one in viewer.workspaces if may_change(viewer, one[0])),
        kinds=tuple(one for one in KINDS if one[0] != "email" or services.settings.smtp_host),
        made=made,
        refused=refused,
        given=given,
    )
    return answer_page(request, Moment(now_us, None), "alerts.html", viewer, page)


ROUTES = (
    alerts_page,
    create_channel,
    rotate_channel,
    test_channel,
    switch_channel,
    remove_channel,
    send_again,
    test_rule,
    switch_rule,
    remove_rule,
)

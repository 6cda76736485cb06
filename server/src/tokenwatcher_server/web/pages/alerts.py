"""`/alerts`: rules with their value now, channels, what was told, and what became of it."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.alerts.rules import list_rules
from tokenwatcher_server.alerts.wording import WHAT
from tokenwatcher_server.web.api import alert_channels as channels_api
from tokenwatcher_server.web.api import alerts as api
from tokenwatcher_server.web.api.alert_channels import (
    ROTATED,
    ChannelBody,
    ChannelChange,
    ChannelView,
    DeliveryView,
    ManyChannels,
    ManyDeliveries,
    NewChannel,
)
from tokenwatcher_server.web.api.alert_views import (
    AlertView,
    History,
    RuleBody,
    RuleChange,
)
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import action, back_to, body_of, fields_of
from tokenwatcher_server.web.pages.links import ALERTS
from tokenwatcher_server.web.pages.rule_rows import RuleRow, may_change, rule_row, sentence
from tokenwatcher_server.web.pages.viewer import AnyRequest, Names, Viewer, viewer_of
from tokenwatcher_server.web.services import services_of

STEPS = (("100", "at 100 %"), ("80,100", "at 80 and 100 %"), ("50,80,100", "at 50, 80 and 100 %"))
SHOWN = 50


class AlertsPage(msgspec.Struct, frozen=True, kw_only=True):
    rules: tuple[RuleRow, ...]
    channels: tuple[ChannelView, ...]
    history: tuple[AlertView, ...]
    deliveries: tuple[DeliveryView, ...]
    scopes: Names
    """Where the viewer may make a rule: `WORKSPACE/PROJECT`, or `WORKSPACE/` for all."""
    workspaces: Names
    types: Names
    steps: Names = STEPS
    made: NewChannel | None = None
    has_mail: bool
    """Whether the operator named a mail server."""

    @property
    def rotated(self) -> bool:
        """Whether the channel of `made` was there before."""
        return self.made is not None and self.made.warning == ROTATED

    def channel_name(self, channel_id: str) -> str:
        return next((one.name for one in self.channels if one.id == channel_id), "a channel")


@get(ALERTS, include_in_schema=False)
async def alerts_page(request: AnyRequest) -> Response[str]:
    return await _answer(request, await viewer_of(request))


@post(ALERTS, include_in_schema=False, right="alerts.change")
async def create_rule(request: AnyRequest) -> Response[Any]:
    viewer, fields = await viewer_of(request), await fields_of(request)
    workspace, _, project = fields.pop("scope", "").partition("/")
    steps = [int(step) for step in fields.pop("steps", "100").split(",") if step.isdigit()]
    given: dict[str, Any] = fields | {"workspaceId": workspace, "steps": steps}
    body = body_of(given | ({"projectId": project} if project else {}), RuleBody)
    await action(api.create_alert)(request, viewer.principal, body)
    return back_to(ALERTS)


@post(f"{ALERTS}/channels", include_in_schema=False, status_code=200, right="alerts.change")
async def create_channel(request: AnyRequest) -> Response[str]:
    viewer = await viewer_of(request)
    body = body_of(await fields_of(request), ChannelBody)
    made: NewChannel = await action(channels_api.create_channel)(request, viewer.principal, body)
    return await _answer(request, viewer, made)


@post(f"{ALERTS}/channels/{{channel_id:str}}/remove", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def remove_channel(request: AnyRequest, channel_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(channels_api.delete_channel)(request, viewer.principal, channel_id)
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


@post(f"{ALERTS}/deliveries/{{delivery_id:str}}/retry", include_in_schema=False,
      right="alerts.change")  # fmt: skip
async def send_again(request: AnyRequest, delivery_id: FromPath[str]) -> Response[Any]:
    viewer = await viewer_of(request)
    await action(channels_api.retry_delivery)(request, viewer.principal, delivery_id)
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
    request: AnyRequest, viewer: Viewer, made: NewChannel | None = None
) -> Response[str]:
    services, principal = services_of(request), viewer.principal
    async with services.database.reading() as connection:
        rules = await list_rules(connection, principal.scope.workspaces)
    measured = await api.measured_rules(request, rules)
    told: History = await action(api.alert_history)(request, principal, None, SHOWN)
    channels, sent = ManyChannels([]), ManyDeliveries([])
    if principal.may("alerts.change"):
        holding = principal.coming_for("alerts.change")
        channels = await action(channels_api.list_channels)(request, holding, None)
        sent = await action(channels_api.list_deliveries)(request, holding, None, SHOWN)
    page = AlertsPage(
        rules=tuple(rule_row(viewer, one) for one in measured),
        channels=tuple(channels.channels),
        history=tuple(told.history),
        deliveries=tuple(sent.deliveries),
        scopes=_scopes(viewer),
        workspaces=tuple(one for one in viewer.workspaces if may_change(viewer, one[0])),
        types=tuple((name, sentence(what)) for name, what in WHAT.items()),
        made=made,
        has_mail=services.settings.smtp_host is not None,
    )
    moment = Moment(services.clock.now_us(), None)
    return answer_page(request, moment, "alerts.html", viewer, page)


def _scopes(viewer: Viewer) -> Names:
    whole = [
        (f"{key}/", f"all of {name}") for key, name in viewer.workspaces if may_change(viewer, key)
    ]
    names = dict(viewer.projects)
    projects = [
        (f"{workspace}/{project}", names[project])
        for project, workspace in viewer.homes
        if may_change(viewer, workspace)
    ]
    return (*whole, *projects)


ROUTES = (
    alerts_page,
    create_rule,
    create_channel,
    rotate_channel,
    switch_channel,
    remove_channel,
    send_again,
    test_rule,
    switch_rule,
    remove_rule,
)

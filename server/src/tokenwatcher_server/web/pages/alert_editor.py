"""`/alerts/new` and `/alerts/ID`: an alert's form, and when it would have told."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.kernel.clock import to_datetime
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.web.api import alert_channels as channels_api
from tokenwatcher_server.web.api import alerts as api
from tokenwatcher_server.web.api.alert_channels import ChannelView, ManyChannels
from tokenwatcher_server.web.api.alert_preview import preview_of
from tokenwatcher_server.web.api.alert_views import view
from tokenwatcher_server.web.pages.alert_chart import PreviewChart, preview_chart
from tokenwatcher_server.web.pages.alert_form import (
    MUTES,
    STEPS,
    TYPES,
    UNITS,
    ZONES,
    Filled,
    change_body,
    filled_from,
    filled_of,
    new_body,
    scopes_of,
)
from tokenwatcher_server.web.pages.answer import Moment, answer_page
from tokenwatcher_server.web.pages.forms import action, back_to
from tokenwatcher_server.web.pages.links import ALERTS
from tokenwatcher_server.web.pages.rule_rows import may_change, sentence
from tokenwatcher_server.web.pages.viewer import AnyRequest, Names, Viewer, viewer_of
from tokenwatcher_server.web.services import services_of

_SAID_HERE = frozenset({Kind.INVALID, Kind.CONFLICT, Kind.RATE_LIMITED})
"""What is wrong with the form is said beside it, with all that was filled in."""


class AlertEditor(msgspec.Struct, frozen=True, kw_only=True):
    filled: Filled
    rule: Rule | None
    """The alert as it is; None for a new one."""
    mine: bool
    """Whether the viewer may save it."""
    what: str
    unit: str
    muted_until: str | None
    channels: tuple[ChannelView, ...]
    scopes: Names
    preview: PreviewChart | None
    problem: str | None
    types: Names = TYPES
    steps: Names = STEPS
    mutes: Names = MUTES
    zones: tuple[str, ...] = ZONES

    @property
    def path(self) -> str:
        return ALERTS if self.rule is None else f"{ALERTS}/{self.rule.id}"


@get(f"{ALERTS}/new", include_in_schema=False)
async def new_alert(request: AnyRequest) -> Response[str]:
    return await _answer(request, await viewer_of(request), Filled())


@post(ALERTS, include_in_schema=False, right="alerts.change")
async def create_rule(request: AnyRequest) -> Response[Any]:
    viewer, filled = await viewer_of(request), filled_from(await request.form())
    try:
        await action(api.create_alert)(request, viewer.principal, new_body(filled))
    except AppError as error:
        return await _refused(request, viewer, filled, error)
    return back_to(ALERTS)


@post(f"{ALERTS}/preview", include_in_schema=False, status_code=200, right="alerts.change")
async def preview_new(request: AnyRequest) -> Response[str]:
    viewer, filled = await viewer_of(request), filled_from(await request.form())
    principal = viewer.principal.coming_for("alerts.change")
    try:
        rule = await api.rule_of(request, principal, new_body(filled))
        shown = await _preview(request, viewer, rule)
    except AppError as error:
        return await _refused(request, viewer, filled, error)
    return await _answer(request, viewer, filled, preview=shown)


@get(f"{ALERTS}/{{rule_id:str}}", include_in_schema=False)
async def edit_alert(request: AnyRequest, rule_id: FromPath[str]) -> Response[str]:
    viewer = await viewer_of(request)
    rule = await api.visible_rule(request, viewer.principal, rule_id)
    shown, problem = None, None
    try:
        shown = await _preview(request, viewer, rule)
    except AppError as error:  # the form is of use without its chart
        problem = error.message
    filled = filled_of(view(rule))
    return await _answer(request, viewer, filled, rule=rule, preview=shown, problem=problem)


@post(f"{ALERTS}/{{rule_id:str}}", include_in_schema=False, right="alerts.change")
async def save_rule(request: AnyRequest, rule_id: FromPath[str]) -> Response[Any]:
    viewer, filled = await viewer_of(request), filled_from(await request.form())
    rule = await api.visible_rule(request, viewer.principal, rule_id)
    try:
        change = change_body(filled, services_of(request).clock.now_us())
        await action(api.change_alert)(request, viewer.principal, rule_id, change)
    except AppError as error:
        return await _refused(request, viewer, filled, error, rule)
    return back_to(ALERTS)


@post(f"{ALERTS}/{{rule_id:str}}/preview", include_in_schema=False, status_code=200,
      right="alerts.change")  # fmt: skip
async def preview_changed(request: AnyRequest, rule_id: FromPath[str]) -> Response[str]:
    viewer, filled = await viewer_of(request), filled_from(await request.form())
    principal = viewer.principal.coming_for("alerts.change")
    rule = await api.visible_rule(request, principal, rule_id)
    try:
        change = change_body(filled, services_of(request).clock.now_us())
        shown = await _preview(request, viewer, api.changed_rule(rule, change))
    except AppError as error:
        return await _refused(request, viewer, filled, error, rule)
    return await _answer(request, viewer, filled, rule=rule, preview=shown)


async def _preview(request: AnyRequest, viewer: Viewer, rule: Rule) -> PreviewChart:
    return preview_chart(rule, await preview_of(request, viewer.principal, rule))


async def _refused(
    request: AnyRequest,
    viewer: Viewer,
    filled: Filled,
    error: AppError,
    rule: Rule | None = None,
) -> Response[str]:
    if error.kind not in _SAID_HERE:
        raise error
    answer = await _answer(request, viewer, filled, rule=rule, problem=error.message)
    answer.status_code = 400
    return answer


async def _answer(
    request: AnyRequest,
    viewer: Viewer,
    filled: Filled,
    *,
    rule: Rule | None = None,
    preview: PreviewChart | None = None,
    problem: str | None = None,
) -> Response[str]:
    services, principal = services_of(request), viewer.principal
    now_us = services.clock.now_us()
    channels: tuple[ChannelView, ...] = ()
    if principal.may("alerts.change"):
        holding = principal.coming_for("alerts.change")
        listed: ManyChannels = await action(channels_api.list_channels)(request, holding, None)
        home = filled.scope.partition("/")[0]
        channels = tuple(one for one in listed.channels if home in {"", one.workspace_id})
    muted_until = None if rule is None else rule.muted_until
    names = dict(viewer.workspaces) | {str(key): name for key, name in viewer.projects}
    place = [] if rule is None else [names.get(rule.project_id or rule.workspace_id, "a project")]
    page = AlertEditor(
        filled=filled,
        rule=rule,
        mine=bool(scopes_of(viewer)) if rule is None else may_change(viewer, rule.workspace_id),
        what="" if rule is None else " · ".join([sentence(dict(TYPES)[rule.type]), *place]),
        unit="" if rule is None else UNITS[rule.watched.unit],
        muted_until=None
        if muted_until is None or muted_until <= now_us
        else to_datetime(muted_until).strftime("%Y-%m-%d %H:%M UTC"),
        channels=channels,
        scopes=scopes_of(viewer),
        preview=preview,
        problem=problem,
    )
    return answer_page(request, Moment(now_us, None), "alert.html", viewer, page)


ROUTES = (
    new_alert,
    create_rule,
    preview_new,
    edit_alert,
    save_rule,
    preview_changed,
)

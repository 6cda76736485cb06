"""Alert rules, what they told, and evaluating them on demand."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.alerts import rules as stored
from tokenwatcher_server.alerts.alert import alert_of
from tokenwatcher_server.alerts.channel_store import list_channels
from tokenwatcher_server.alerts.measure import Asked, observe
from tokenwatcher_server.alerts.outbox import enqueue
from tokenwatcher_server.alerts.rule import Rule, checked, parts_of, text_of, watches_the_same
from tokenwatcher_server.control.audit import Entry
from tokenwatcher_server.kernel.clock import to_us
from tokenwatcher_server.kernel.errors import AppError, Issue, Kind, invalid, not_found
from tokenwatcher_server.kernel.ids import WorkspaceId, new_id
from tokenwatcher_server.web.api.alert_views import (
    Evaluated,
    History,
    ManyAlerts,
    MeasuredRule,
    OneAlert,
    RuleBody,
    RuleChange,
    Tested,
    ValueView,
    alert_view,
    view,
)
from tokenwatcher_server.web.api.projects import visible_project
from tokenwatcher_server.web.api.workspaces import asked_workspaces, visible
from tokenwatcher_server.web.audit import note
from tokenwatcher_server.web.auth import Caller, principal_of, sends_secret
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]
MOST_HISTORY, DEFAULT_HISTORY = 500, 100


def _entry(verb: str, rule: Rule, *, before: object = None, after: object = None) -> Entry:
    return Entry(
        action=f"alert.{verb}",
        object_kind="alert",
        object_name=rule.name,
        object_id=rule.id,
        workspace_id=rule.workspace_id,
        before=before,
        after=after,
    )


async def visible_rule(request: AnyRequest, principal: Principal, rule_id: str) -> Rule:
    """The rule, if the caller holds in its workspace what the route takes; raises AppError."""
    async with services_of(request).database.reading() as connection:
        found = await stored.find_rule(connection, rule_id)
    if found is None or not _may_see(principal, found):
        raise not_found("There is no such alert in what you may see.")
    principal.check(WorkspaceId(found.workspace_id))
    return found


def _may_see(principal: Principal, rule: Rule) -> bool:
    scope = principal.scope
    return rule.workspace_id in scope.workspaces and (
        scope.projects is None or rule.project_id in scope.projects
    )


@get("/api/alerts", summary="The alert rules you may see")
async def list_alerts(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
) -> ManyAlerts:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await stored.list_rules(connection, workspaces)
    return ManyAlerts([view(rule) for rule in found if _may_see(principal, rule)])


@post("/api/alerts", summary="Make an alert rule", right="alerts.change")
async def create_alert(
    request: AnyRequest, principal: Caller, data: JSONBody[RuleBody]
) -> OneAlert:
    services = services_of(request)
    rule = await rule_of(request, principal, data)
    async with services.database.transaction() as connection:
        if len(await stored.list_rules(connection, [rule.workspace_id])) >= stored.MOST_RULES:
            raise AppError(
                Kind.CONFLICT, "TOO_MANY_ALERTS", f"{stored.MOST_RULES} a workspace are enough."
            )
        await _check_channels(connection, rule)
        await stored.save_rule(connection, rule)
        await note(connection, request, principal, _entry("create", rule, after=view(rule)))
    services.watch.touched(rule.workspace_id)
    return OneAlert(view(rule))


async def rule_of(request: AnyRequest, principal: Principal, data: RuleBody) -> Rule:
    """A new rule as a body has it; raises AppError for one that makes no sense."""
    workspace = await visible(request, principal, data.workspace_id)
    if data.project_id is not None:
        project = await visible_project(request, principal, data.project_id)
        if project.workspace_id != workspace.id:
            raise not_found("There is no such project in that workspace.")
    fields = msgspec.structs.asdict(data) | {"zone": data.timezone or workspace.timezone}
    del fields["timezone"]
    now_us = services_of(request).clock.now_us()
    rule = Rule(**fields | {"id": new_id(), "threshold": 1, "created_at": now_us})
    return checked(_with_threshold(rule, data.threshold))


@get("/api/alerts/history", summary="What alert rules told, newest first")
async def alert_history(
    request: AnyRequest,
    principal: Caller,
    workspaceId: FromQuery[str | None] = None,  # noqa: N803 - as the wire names it
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_HISTORY)] = DEFAULT_HISTORY,
) -> History:
    workspaces = await asked_workspaces(request, principal, workspaceId)
    async with services_of(request).database.reading() as connection:
        found = await stored.history(connection, workspaces, limit)
    projects = principal.scope.projects
    return History(
        [alert_view(one) for one in found if projects is None or one.project_id in projects]
    )


@post(
    "/api/alerts/evaluate",
    status_code=200,
    summary="Evaluate every alert rule now; with a session, or `CRON_SECRET` as bearer",
    right="alerts.change",
)
async def evaluate_alerts(request: AnyRequest) -> Evaluated:
    services = services_of(request)
    workspaces = None
    if not sends_secret(request, services.settings.cron_secret):
        workspaces = (await principal_of(request)).holding()
    return Evaluated(success=True, alerts=await services.watch.evaluate(workspaces))


@get("/api/alerts/{rule_id:str}", summary="One alert rule, and its value now")
async def one_alert(request: AnyRequest, principal: Caller, rule_id: FromPath[str]) -> MeasuredRule:
    rule = await visible_rule(request, principal, rule_id)
    [measured] = await measured_rules(request, [rule])
    return measured


async def measured_rules(request: AnyRequest, rules: list[Rule]) -> list[MeasuredRule]:
    """Rules with what they measure now; of many subjects, the one that has most."""
    services = services_of(request)
    now_us = services.clock.now_us()
    seen = await observe(services.store, [Asked(rule, now_us) for rule in rules])
    found = []
    for rule, observed in zip(rules, seen, strict=True):
        most = max(observed.values.items(), key=lambda pair: pair[1], default=None)
        if most is None:
            found.append(MeasuredRule(view(rule), ValueView(None, None, None)))
            continue
        subject, value = most
        percent = value * 100 // rule.threshold
        now = ValueView(text_of(value, rule.watched.unit), subject or None, percent)
        found.append(MeasuredRule(view(rule), now))
    return found


@patch("/api/alerts/{rule_id:str}", summary="Change an alert rule", right="alerts.change")
async def change_alert(
    request: AnyRequest,
    principal: Caller,
    rule_id: FromPath[str],
    data: JSONBody[RuleChange],
) -> OneAlert:
    before = await visible_rule(request, principal, rule_id)
    after = changed_rule(before, data)
    if not watches_the_same(before, after):
        now_us = services_of(request).clock.now_us()
        after = msgspec.structs.replace(after, changed_at=now_us)
    async with services_of(request).database.transaction() as connection:
        await _check_channels(connection, after)
        await stored.save_rule(connection, after)
        entry = _entry("change", after, before=view(before), after=view(after))
        await note(connection, request, principal, entry)
    services_of(request).watch.touched(after.workspace_id)
    return OneAlert(view(after))


def changed_rule(before: Rule, data: RuleChange) -> Rule:
    """The rule with a change made; raises AppError for one that makes no sense."""
    given = {
        "zone" if name == "timezone" else name: to_us(value)
        if isinstance(value, datetime)
        else value
        for name, value in msgspec.structs.asdict(data).items()
        if value is not UNSET and name != "threshold"
    }
    after = msgspec.structs.replace(before, **given)
    if not isinstance(data.threshold, UnsetType):
        after = _with_threshold(after, data.threshold)
    return checked(after)


@delete("/api/alerts/{rule_id:str}", summary="Remove an alert rule", right="alerts.change")
async def delete_alert(request: AnyRequest, principal: Caller, rule_id: FromPath[str]) -> None:
    rule = await visible_rule(request, principal, rule_id)
    async with services_of(request).database.transaction() as connection:
        await stored.delete_rule(connection, rule.id)
        await note(connection, request, principal, _entry("remove", rule, before=view(rule)))


@post(
    "/api/alerts/{rule_id:str}/test",
    status_code=200,
    summary="Send a real alert, marked as a test, to the rule's channels",
    right="alerts.change",
)
async def test_alert(request: AnyRequest, principal: Caller, rule_id: FromPath[str]) -> Tested:
    services = services_of(request)
    rule = await visible_rule(request, principal, rule_id)
    workspace = await visible(request, principal, rule.workspace_id)
    now_us = services.clock.now_us()
    alert = alert_of(rule, workspace.name, "test", rule.threshold, rule.threshold, now_us)
    async with services.database.transaction() as connection:
        made = await enqueue(connection, alert, rule.channel_ids, now_us)
        await note(connection, request, principal, _entry("test", rule))
    services.deliveries.nudge()
    return Tested(success=True, deliveries=made)


def _with_threshold(rule: Rule, threshold: Decimal) -> Rule:
    return msgspec.structs.replace(rule, threshold=parts_of(str(threshold), rule.watched.unit))


async def _check_channels(connection: Any, rule: Rule) -> None:
    known = {one.id for one in await list_channels(connection, [rule.workspace_id])}
    if not set(rule.channel_ids) <= known:
        raise invalid(
            "channelIds must be channels of the rule's workspace.",
            Issue("channelIds", "must be channels of the rule's workspace"),
        )


ROUTES = (
    list_alerts,
    create_alert,
    alert_history,
    evaluate_alerts,
    one_alert,
    change_alert,
    delete_alert,
    test_alert,
)

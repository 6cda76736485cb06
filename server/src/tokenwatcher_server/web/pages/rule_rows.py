"""Alert rules as rows: what they watch, how much of the threshold is reached, and the bar."""

import msgspec

from tokenwatcher_server.alerts.rule import Rule
from tokenwatcher_server.alerts.rules import list_rules
from tokenwatcher_server.alerts.wording import WHAT, amount
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.web.api.alert_views import MeasuredRule
from tokenwatcher_server.web.api.alerts import measured_rules
from tokenwatcher_server.web.pages.viewer import AnyRequest, Viewer
from tokenwatcher_server.web.services import services_of

BAR_WIDTH = 84
MOST_BUDGETS = 5
MOST_MEASURED = 30
_NO_BUDGET = frozenset({"cost_anomaly"})


class RuleRow(msgspec.Struct, frozen=True):
    rule: MeasuredRule
    place: str
    """The project, or the workspace."""
    what: str
    value: str
    threshold: str
    width: int
    """Of the bar, up to BAR_WIDTH."""
    level: str
    """`calm`, `near` (80 % of the threshold) or `over`."""
    mine: bool
    """Whether the viewer may change it."""
    muted_until: str | None = None


def rule_row(viewer: Viewer, measured: MeasuredRule, now_us: int) -> RuleRow:
    rule, now = measured.alert, measured.now
    names = dict(viewer.workspaces) | {str(key): name for key, name in viewer.projects}
    percent = now.percent or 0
    return RuleRow(
        rule=measured,
        place=names.get(rule.project_id or rule.workspace_id, "a project"),
        what=sentence(WHAT[rule.type]),
        value="nothing yet" if now.value is None else amount(now.value, rule.unit),
        threshold=amount(rule.threshold, rule.unit),
        width=min(BAR_WIDTH, BAR_WIDTH * percent // 100),
        level="over" if percent >= 100 else "near" if percent >= 80 else "calm",
        mine=may_change(viewer, rule.workspace_id),
        muted_until=rule.muted_until if (rule.muted_until or "") > iso(now_us) else None,
    )


def may_change(viewer: Viewer, workspace_id: str) -> bool:
    return viewer.principal.may("alerts.change", WorkspaceId(workspace_id))


def sentence(words: str) -> str:
    return words[0].upper() + words[1:]


async def budgets_in(request: AnyRequest, scope: Scope) -> list[Rule]:
    """The rules on spend that are on in a scope: of its workspaces, or of its projects alone."""
    async with services_of(request).database.reading() as connection:
        rules = await list_rules(connection, scope.workspaces)
    return [
        rule
        for rule in rules
        if rule.enabled and rule.watched.unit == "usd" and rule.type not in _NO_BUDGET
        if scope.projects is None or rule.project_id in scope.projects
    ][:MOST_MEASURED]


async def budget_rows(
    request: AnyRequest, viewer: Viewer, rules: list[Rule]
) -> tuple[RuleRow, ...]:
    """Budgets with what is spent of them, those nearest to their threshold first."""
    now_us = services_of(request).clock.now_us()
    measured = await measured_rules(request, rules) if rules else []
    measured.sort(key=lambda one: -(one.now.percent or 0))
    return tuple(rule_row(viewer, one, now_us) for one in measured[:MOST_BUDGETS])

"""What is told when a rule's threshold is crossed, whatever the channel."""

from typing import Literal

import msgspec

from tokenwatcher_server.alerts.rule import Rule, text_of
from tokenwatcher_server.kernel.ids import new_id

AlertState = Literal["triggered", "resolved", "test"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of one rule. Amounts are exact decimal text in `unit`; times are UTC."""

    id: str
    """Stays the same through every attempt to deliver it."""
    rule_id: str
    rule_name: str
    type: str
    state: AlertState
    threshold: str
    value: str
    unit: str
    workspace_id: str
    workspace_name: str
    project_id: str | None
    provider: str | None
    model: str | None
    subject: str | None
    """The one user or tag value that it is about, where a rule watches each of them."""
    triggered_at: int
    late: bool = False
    """It is about the window before, into which events came after its end."""
    window_start: int = 0
    """0 for a window that moves with time."""
    others: int = 0
    """How many more users or tag values passed at once, told of with this one."""


def alert_of(
    rule: Rule,
    workspace_name: str,
    state: AlertState,
    threshold: int,
    value: int,
    now_us: int,
    *,
    subject: str | None = None,
    late: bool = False,
    window_start: int = 0,
    others: int = 0,
) -> Alert:
    """A new alert of a rule; `threshold` and `value` are in whole parts of its unit."""
    unit = rule.watched.unit
    return Alert(
        id=new_id(),
        rule_id=rule.id,
        rule_name=rule.name,
        type=rule.type,
        state=state,
        threshold=text_of(threshold, unit),
        value=text_of(value, unit),
        unit=unit,
        workspace_id=rule.workspace_id,
        workspace_name=workspace_name,
        project_id=rule.project_id,
        provider=rule.provider,
        model=rule.model,
        subject=subject or rule.tag_value,
        triggered_at=now_us,
        late=late,
        window_start=window_start,
        others=others,
    )

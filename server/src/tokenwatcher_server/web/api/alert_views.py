"""Alert rules and what they told, as the API gives them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.rule import Rule, RuleType, text_of
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.web.api.workspaces import Name

Text = Annotated[str, Meta(min_length=1, max_length=300, pattern="^[^\\x00]*$")]


class RuleBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`threshold` is in the unit of the type: US dollars, tokens, percent, milliseconds, events."""

    workspace_id: str
    project_id: str | None = None
    name: Name
    type: RuleType
    threshold: Decimal
    steps: tuple[int, ...] = (100,)
    provider: Text | None = None
    model: Text | None = None
    tag_key: Text | None = None
    tag_value: Text | None = None
    timezone: Text | None = None
    """The workspace's, where none is named."""
    channel_ids: tuple[str, ...] = ()
    enabled: bool = True


class RuleChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: Name | UnsetType = UNSET
    threshold: Decimal | UnsetType = UNSET
    steps: tuple[int, ...] | UnsetType = UNSET
    provider: Text | UnsetType | None = UNSET
    model: Text | UnsetType | None = UNSET
    tag_key: Text | UnsetType | None = UNSET
    tag_value: Text | UnsetType | None = UNSET
    timezone: Text | UnsetType = UNSET
    channel_ids: tuple[str, ...] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    muted_until: Annotated[datetime, Meta(tz=True)] | UnsetType | None = UNSET
    """Until then nothing is told; null ends it."""


class RuleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    workspace_id: str
    project_id: str | None
    name: str
    type: RuleType
    threshold: str
    unit: str
    steps: list[int]
    provider: str | None
    model: str | None
    tag_key: str | None
    tag_value: str | None
    timezone: str
    channel_ids: list[str]
    enabled: bool
    muted_until: str | None
    created_at: str


class ValueView(msgspec.Struct, frozen=True, rename="camel"):
    """`value` is null where there is nothing to measure; `percent` is of the threshold."""

    value: str | None
    subject: str | None
    percent: int | None


class MeasuredRule(msgspec.Struct, frozen=True):
    alert: RuleView
    now: ValueView


class OneAlert(msgspec.Struct, frozen=True):
    alert: RuleView


class ManyAlerts(msgspec.Struct, frozen=True):
    alerts: list[RuleView]


class AlertView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    alert_id: str
    alert_name: str
    type: str
    state: str
    threshold: str
    value: str
    unit: str
    workspace_id: str
    project_id: str | None
    provider: str | None
    model: str | None
    subject: str | None
    others: int
    """How many more users or tag values passed at once, told of with this one."""
    late: bool
    """Whether it is about the window before, into which events came after its end."""
    triggered_at: str


class History(msgspec.Struct, frozen=True):
    history: list[AlertView]


class Evaluated(msgspec.Struct, frozen=True):
    success: bool
    alerts: int
    """How many were made."""


class Tested(msgspec.Struct, frozen=True):
    success: bool
    deliveries: list[str]


def view(rule: Rule) -> RuleView:
    return RuleView(
        id=rule.id,
        workspace_id=rule.workspace_id,
        project_id=rule.project_id,
        name=rule.name,
        type=rule.type,
        threshold=text_of(rule.threshold, rule.watched.unit),
        unit=rule.watched.unit,
        steps=list(rule.steps),
        provider=rule.provider,
        model=rule.model,
        tag_key=rule.tag_key,
        tag_value=rule.tag_value,
        timezone=rule.zone,
        channel_ids=list(rule.channel_ids),
        enabled=rule.enabled,
        muted_until=None if rule.muted_until is None else iso(rule.muted_until),
        created_at=iso(rule.created_at),
    )


def alert_view(alert: Alert) -> AlertView:
    return AlertView(
        id=alert.id,
        alert_id=alert.rule_id,
        alert_name=alert.rule_name,
        type=alert.type,
        state=alert.state,
        threshold=alert.threshold,
        value=alert.value,
        unit=alert.unit,
        workspace_id=alert.workspace_id,
        project_id=alert.project_id,
        provider=alert.provider,
        model=alert.model,
        subject=alert.subject,
        others=alert.others,
        late=alert.late,
        triggered_at=iso(alert.triggered_at),
    )

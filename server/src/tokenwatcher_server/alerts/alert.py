"""What is told when a rule's threshold is crossed, whatever the channel."""

from typing import Literal

import msgspec

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

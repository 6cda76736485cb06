"""A signed POST with the alert as JSON."""

import msgspec

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.alerts.signing import signed_headers
from tokenwatcher_server.kernel.clock import iso

_EVENTS = {
    "triggered": "tokenwatcher.alert.triggered",
    "resolved": "tokenwatcher.alert.resolved",
    "test": "tokenwatcher.alert.test",
}


class Body(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Numbers are JSON numbers, as older receivers know them; the exact text stands beside."""

    event: str
    alert_id: str
    alert_name: str
    type: str
    threshold: float
    value: float
    threshold_exact: str
    value_exact: str
    unit: str
    workspace_id: str
    project_id: str | None
    provider: str | None
    model: str | None
    subject: str | None
    others: int
    late: bool
    triggered_at: str


def write(alert: Alert, channel: Channel, now_seconds: int) -> Message:
    body = msgspec.json.encode(
        Body(
            event=_EVENTS[alert.state],
            alert_id=alert.rule_id,
            alert_name=alert.rule_name,
            type=alert.type,
            threshold=float(alert.threshold),
            value=float(alert.value),
            threshold_exact=alert.threshold,
            value_exact=alert.value,
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
    )
    signed = signed_headers(alert.id, now_seconds, body, channel.secrets)
    return Message({"Content-Type": "application/json", **signed}, body)

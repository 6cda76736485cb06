"""PagerDuty's Events API, version 2: an alert opens an incident, its end resolves it.

https://developer.pagerduty.com/docs/send-alert-event
"""

import hashlib
import re

import msgspec

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.alerts.wording import headline
from tokenwatcher_server.kernel.clock import iso

URL = "https://events.pagerduty.com/v2/enqueue"
LONGEST_SUMMARY = 1_024
_KEY = re.compile(r"[0-9A-Za-z]{32}\Z", re.ASCII)


def is_routing_key(text: str) -> bool:
    """Whether a text looks like an integration's key."""
    return _KEY.match(text) is not None


def write(alert: Alert, channel: Channel, _now_seconds: int) -> Message:
    body: dict[str, object] = {
        "routing_key": channel.secrets[0],
        "event_action": "resolve" if alert.state == "resolved" else "trigger",
        "dedup_key": _incident(alert),
        "payload": {
            "summary": headline(alert)[:LONGEST_SUMMARY],
            "source": f"TokenWatcher, workspace {alert.workspace_name}"[:LONGEST_SUMMARY],
            "severity": "info" if alert.state == "test" else "warning",
            "timestamp": iso(alert.triggered_at),
            "class": alert.type,
            "custom_details": {
                "value": alert.value,
                "threshold": alert.threshold,
                "unit": alert.unit,
                "subject": alert.subject,
                "others": alert.others,
            },
        },
    }
    if channel.page is not None:
        body["links"] = [{"href": channel.page, "text": "Open TokenWatcher"}]
    return Message({"Content-Type": "application/json"}, msgspec.json.encode(body))


def _incident(alert: Alert) -> str:
    """What an alert and its end have in common: the rule, its step, its window and its subject.

    Without the window, tomorrow's alert would vanish in an incident that is still open.
    """
    place = (alert.rule_id, alert.threshold, alert.window_start, alert.subject)
    said = (alert.state == "test", *place)
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()

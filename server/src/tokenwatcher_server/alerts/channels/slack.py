"""Slack's incoming webhooks: blocks, with plain text for notifications.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from typing import Any

import msgspec

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.alerts.wording import headline

LONGEST_TEXT = 2_900
_MARKS = {"triggered": ":rotating_light:", "resolved": ":white_check_mark:", "test": ":wave:"}


def write(alert: Alert, channel: Channel, _now_seconds: int) -> Message:
    text = _escaped(headline(alert))[:LONGEST_TEXT]
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{_MARKS[alert.state]} {text}"}},
        {
            "type": "context",
            "elements": [{"type": "plain_text", "text": f"Workspace {alert.workspace_name}"}],
        },
    ]
    if channel.page is not None:
        button = {"type": "plain_text", "text": "Open TokenWatcher"}
        blocks.append(
            {
                "type": "actions",
                "elements": [{"type": "button", "text": button, "url": channel.page}],
            }
        )
    body = msgspec.json.encode({"text": text, "blocks": blocks})
    return Message({"Content-Type": "application/json"}, body)


def _escaped(text: str) -> str:
    """Slack reads `&`, `<` and `>`: a name must not become a link or a mention of everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""Microsoft Teams' workflow webhooks: an adaptive card.

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

import msgspec

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.alerts.wording import headline

_CARD = "application/vnd.microsoft.card.adaptive"


def write(alert: Alert, channel: Channel, _now_seconds: int) -> Message:
    card: dict[str, object] = {
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _line(headline(alert), weight="Bolder"),
            _line(f"Workspace {alert.workspace_name}", weight="Default"),
        ],
    }
    if channel.page is not None:
        title = "Open TokenWatcher"
        card["actions"] = [{"type": "Action.OpenUrl", "title": title, "url": channel.page}]
    body = {"type": "message", "attachments": [{"contentType": _CARD, "content": card}]}
    return Message({"Content-Type": "application/json"}, msgspec.json.encode(body))


def _line(text: str, *, weight: str) -> dict[str, object]:
    """Plain text: a run is not read as Markdown, so that a name can't become a link."""
    run = {"type": "TextRun", "text": text, "weight": weight}
    return {"type": "RichTextBlock", "inlines": [run]}

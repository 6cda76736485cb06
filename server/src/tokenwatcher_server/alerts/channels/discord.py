"""Discord's webhooks: a message that can mention nobody.

https://docs.discord.com/developers/resources/webhook#execute-webhook
"""

import msgspec

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.alerts.wording import headline

LONGEST_TITLE, COLOURS = 256, {"triggered": 0xB3261E, "resolved": 0x0B6E4F, "test": 0x616B7A}


def write(alert: Alert, channel: Channel, _now_seconds: int) -> Message:
    embed: dict[str, object] = {
        "title": headline(alert)[:LONGEST_TITLE],
        "description": f"Workspace {alert.workspace_name}",
        "color": COLOURS[alert.state],
    }
    if channel.page is not None:
        embed["url"] = channel.page
    body = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    return Message({"Content-Type": "application/json"}, msgspec.json.encode(body))

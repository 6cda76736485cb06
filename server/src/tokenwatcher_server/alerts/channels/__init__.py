"""The kinds of channels. A new kind is one file and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels import (
    discord,
    email,
    pagerduty,
    slack,
    teams,
    webhook,
)
from tokenwatcher_server.alerts.channels.channel import Channel, Message
from tokenwatcher_server.outbound.mail import Letter

Write = Callable[[Alert, Channel, int], Message | Letter]

KINDS: Final[Mapping[str, Write]] = {
    "webhook": webhook.write,
    "slack": slack.write,
    "discord": discord.write,
    "teams": teams.write,
    "email": email.write,
    "pagerduty": pagerduty.write,
}

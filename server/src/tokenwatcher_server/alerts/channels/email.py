"""An e-mail, in plain text and in HTML that any program can show."""

from html import escape

from tokenwatcher_server.alerts.alert import Alert
from tokenwatcher_server.alerts.channels.channel import Channel
from tokenwatcher_server.alerts.wording import headline
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.outbound.mail import Letter

SCHEME = "mailto:"
LONGEST_SUBJECT = 200
_MARKS = {"triggered": "Alert", "resolved": "Resolved", "test": "Test"}


def write(alert: Alert, channel: Channel, _now_seconds: int) -> Letter:
    text = headline(alert)
    lines = [text, f"Workspace {alert.workspace_name}", f"At {iso(alert.triggered_at)}"]
    parts = [
        f"<p><strong>{escape(lines[0])}</strong></p>",
        *(f"<p>{escape(x)}</p>" for x in lines[1:]),
    ]
    if channel.page is not None:
        lines.append(channel.page)
        parts.append(f'<p><a href="{escape(channel.page)}">Open TokenWatcher</a></p>')
    return Letter(
        id=alert.id,
        recipient=channel.url.removeprefix(SCHEME),
        subject=f"{_MARKS[alert.state]}: {text}"[:LONGEST_SUBJECT],
        text="\n".join(lines) + "\n",
        html="\n".join(parts) + "\n",
    )

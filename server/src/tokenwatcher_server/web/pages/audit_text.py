"""What the audit log says, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tokenwatcher_server.control.audit import Actor, Entry

PHRASES: Mapping[str, str] = {
    "workspace.create": "made the workspace",
    "workspace.change": "changed the workspace",
    "workspace.remove": "removed the workspace",
    "events.expire": "removed the old events of",
    "prompts.expire": "removed the old prompts of",
    "person.erase-begin": "began to erase the person",
    "person.erase-end": "erased the person",
    "person.unlink-begin": "began to unlink the person",
    "person.unlink-end": "unlinked the person",
    "project.create": "made the project",
    "project.change": "changed the project",
    "project.remove": "removed the project",
    "key.create": "made the key",
    "key.change": "changed the key",
    "key.rename": "renamed the key",
    "key.rotate": "rotated the key",
    "key.revoke": "revoked the key",
    "price.set": "set the price of",
    "price.remove": "removed the price of",
    "price.apply": "priced again the",
    "alert.create": "made the alert",
    "alert.change": "changed the alert",
    "alert.test": "sent a test of the alert",
    "alert.remove": "removed the alert",
    "channel.create": "added the channel",
    "channel.change": "changed the channel",
    "channel.rotate": "gave a new secret to the channel",
    "channel.remove": "removed the channel",
    "delivery.retry": "sent again the alert",
    "backup.make": "backed the instance up to",
    "backup.restore": "restored the instance from",
    "member.add": "let in",
    "member.change": "changed the role of",
    "member.remove": "removed",
    "invitation.create": "invited",
    "invitation.use": "took the invitation of",
    "invitation.revoke": "took back the invitation of",
    "user.create": "made the user",
    "user.password": "changed the password of",
    "user.sign-out": "signed out everywhere",
    "session.begin": "signed in",
    "session.end": "signed out",
    "session.refuse": "was refused to sign in as",
}
"""What was done, before the name of what it was done to. Others are shown as they are written."""
OWN = frozenset({"session.begin", "session.end"})
"""What somebody does with themselves: the name is not said twice."""
KINDS: Mapping[str, str] = {
    "": "Everything",
    "session": "Sign-ins",
    "user": "Users",
    "member": "Members",
    "invitation": "Invitations",
    "key": "API keys",
    "project": "Projects",
    "workspace": "Workspaces",
    "price": "Prices",
    "person": "Erased people",
    "alert": "Alerts",
    "channel": "Alert channels",
    "delivery": "Alert deliveries",
}
WHO = {
    "key": "a key",
    "command": "on the server",
    "visitor": "not signed in",
    "user": "",
    "server": "by itself",
}


class Change(msgspec.Struct, frozen=True):
    """One field before and after; empty where it was not there."""

    field: str
    before: str
    after: str


def phrase(entry: Entry) -> str:
    return PHRASES.get(entry.action, entry.action)


def named(entry: Entry) -> str:
    """What it was done to, empty where the actor did it with themselves."""
    return "" if entry.action in OWN else entry.object_name


def actor_name(actor: Actor) -> str:
    return "Somebody" if actor.kind == "visitor" and not actor.id else actor.name


def changes(entry: Entry) -> tuple[Change, ...]:
    """What differs between before and after, or all there is of the one that is there."""
    before, after = dict(_flat(entry.before)), dict(_flat(entry.after))
    both = entry.before is not None and entry.after is not None
    return tuple(
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys((*before, *after))
        if not both or before.get(name) != after.get(name)
    )


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """The fields of nested objects, by their path: `tokens.input`."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else str(name))
    elif value is not None:
        yield path, value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""Who may do what: one table for people, and the little that a key may."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Role = Literal["owner", "admin", "member", "viewer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Of a person in a workspace; each may all that the ones after it may."""

Right = Literal[
    "account.change",
    "usage.see",
    "usage.export",
    "keys.change",
    "alerts.change",
    "projects.change",
    "members.see",
    "members.change",
    "audit.see",
    "workspace.change",
    "workspace.remove",
    "workspaces.make",
    "prices.change",
    "settings.see",
    "totals.rebuild",
]
Least = Role | Literal["anybody", "instance"]

LEAST: Final[Mapping[Right, Least]] = {
    "account.change": "anybody",  # one's own: the password, signing out
    "usage.see": "viewer",
    "members.see": "viewer",
    "usage.export": "member",
    "keys.change": "member",
    "alerts.change": "member",
    "projects.change": "member",
    "members.change": "admin",
    "audit.see": "admin",
    "workspace.change": "admin",
    "workspace.remove": "owner",
    "workspaces.make": "instance",
    "prices.change": "instance",
    "settings.see": "instance",
    "totals.rebuild": "instance",
}
"""The least that a right takes: a role in the workspace, or owning the whole instance.

Who owns the instance is an owner of every workspace.
"""

KEY_RIGHTS: Final[frozenset[Right]] = frozenset({"usage.see", "usage.export"})
"""What a read key may, in its scope."""


NEEDS_RECENT: Final[frozenset[Right]] = frozenset({"keys.change", "members.change"})
"""What lets others in: a person must have signed in lately to change it, so that a browser
left open somewhere makes no lasting way in."""


def allows(role: Role, right: Right) -> bool:
    """Whether this role in a workspace is enough for the right there."""
    least = LEAST[right]
    if least == "anybody":
        return True
    return least != "instance" and ROLES.index(role) <= ROLES.index(least)


def is_at_least(role: Role, other: Role) -> bool:
    """Whether the first role may all that the other may."""
    return ROLES.index(role) <= ROLES.index(other)

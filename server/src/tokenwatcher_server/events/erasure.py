"""What is taken out of a store for good: a person's events, or what has grown too old."""

from typing import Literal

import msgspec

from tokenwatcher_server.kernel.ids import WorkspaceId

Fate = Literal["remove", "unlink", "forget-prompts"]
"""`remove` leaves nothing of an event. `unlink` leaves the event and its cost, without the
person's id and without prompt and answer. `forget-prompts` takes out prompt and answer alone."""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Which stored events of some workspaces, and what becomes of them.

    They are those of a person, or those that occurred before an instant. An event is a person's
    where its `user_id` or its `end_user_id` is exactly theirs.
    """

    workspaces: tuple[WorkspaceId, ...]
    fate: Fate
    user: str | None = None
    before_us: int | None = None
    """Microseconds since 1970."""

    def __post_init__(self) -> None:
        if (self.user is None) == (self.before_us is None):
            raise ValueError("an erasure is of a person's events or of old ones, never of all")
        if self.fate == "unlink" and self.user is None:
            raise ValueError("only a person's events can be unlinked")

"""What is recorded within a call that is itself tracked.

A function that is tracked may use a wrapped client. What that records is the call; it gets the
tags of the function, and the function is not recorded beside it.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar

from tokenwatcher.context import IDENTITIES, tags
from tokenwatcher.event import Facts

WITHIN: ContextVar[Tracking | None] = ContextVar("tokenwatcher_within", default=None)
"""The innermost tracked call that is under way."""
_SAID = ("store_prompt", *IDENTITIES)
"""The last of the facts: what is said of a call apart from its tags."""
_NOTHING = (None,) * len(_SAID)


class Tracking:
    """The time in which a tracked call is made, as a block. Never raises."""

    __slots__ = ("_block", "_token", "recorded")

    def __init__(self, facts: Facts) -> None:
        self.recorded = False
        """Something was recorded within the block."""
        self._block = _block(facts)

    def __enter__(self) -> Tracking:
        self._token = WITHIN.set(self)
        if self._block is not None:
            self._block.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._block is not None:
            self._block.__exit__()
        # a coroutine that is closed elsewhere ends in a context that never saw the block
        with suppress(ValueError):
            WITHIN.reset(self._token)


def _block(facts: Facts) -> tags | None:
    """A block that says what a call says of itself; None where that is nothing."""
    named = facts.tags if isinstance(facts.tags, dict) else {}
    if not named and facts[-len(_SAID) :] == _NOTHING:
        return None
    block = tags()
    block.say(named, {name: getattr(facts, name) for name in _SAID})
    return block

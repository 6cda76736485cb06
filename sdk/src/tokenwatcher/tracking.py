"""What is recorded within a call that is itself tracked.

A function that is tracked may use a wrapped client. What that records is the call; it gets the
tags of the function, and the function is not recorded beside it.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

from tokenwatcher.context import IDENTITIES, tags
from tokenwatcher.event import Facts

WITHIN: ContextVar[Tracking | None] = ContextVar("tokenwatcher_within", default=None)
"""The innermost tracked call that is under way."""


class Tracking:
    """The time in which a tracked call is made, as a block. Never raises."""

    def __init__(self, facts: Facts) -> None:
        self.recorded = False
        """Something was recorded within the block."""
        self._block = tags()
        self._block.say(
            facts.tags if isinstance(facts.tags, dict) else {},
            {name: getattr(facts, name) for name in IDENTITIES},
        )
        self._token: Token[Tracking | None] | None = None

    def __enter__(self) -> Tracking:
        self._token = WITHIN.set(self)
        self._block.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._block.__exit__()
        if self._token is not None:
            WITHIN.reset(self._token)

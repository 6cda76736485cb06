"""Event ids: UUIDv7 text, unique, and in the order of the milliseconds they were made in."""

from __future__ import annotations

import os
import random
import time


class Ids:
    """Makes ids of events. Every process needs one of its own, also one that was forked.

    The system is asked for randomness once, which takes longer than all else in an id.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311  # ids are to be unique, not secret

    def new(self, at_ns: int | None = None) -> str:
        """Make a UUIDv7 of an instant, now by default. For any thread."""
        now = (time.time_ns() if at_ns is None else at_ns) // 1_000_000
        bits = self._random.getrandbits
        # the quickest of the ways to write it
        return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031
            now >> 16, now & 0xFFFF, bits(12), bits(14) | 0x8000, bits(48),
        )  # fmt: skip

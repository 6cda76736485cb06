"""Event ids: UUIDv7 text, unique, and in the order of the milliseconds they were made in."""

from __future__ import annotations

import os
import random
import time

_RANDOM_BITS = 74


class Ids:
    """Makes ids of events. Every process needs one of its own, also one that was forked.

    The system is asked for randomness once, which takes longer than all else in an id.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311  # ids are to be unique, not secret

    def new(self) -> str:
        """Make a UUIDv7. For any thread."""
        bits = self._random.getrandbits(_RANDOM_BITS)
        now = time.time_ns() // 1_000_000
        return (
            f"{now >> 16:08x}-{now & 0xFFFF:04x}-7{bits >> 62:03x}"
            f"-{bits >> 48 & 0x3FFF | 0x8000:04x}-{bits & 0xFFFFFFFFFFFF:012x}"
        )

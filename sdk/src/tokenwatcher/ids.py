"""Event ids: UUIDv7 text, unique, and in the order of the milliseconds they were made in."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """Make a UUIDv7. Its randomness is the system's, so forked processes never make the same."""
    number = int.from_bytes(os.urandom(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    number |= milliseconds << 80
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

"""Event ids: UUIDv7 text, unique, and in the order of the milliseconds they were made in."""

from __future__ import annotations

import os
import time


def new_id() -> str:
    """Make a UUIDv7. Its randomness is the system's, so forked processes never make the same."""
    tail = os.urandom(10).hex()
    head = f"{time.time_ns() // 1_000_000:012x}"
    variant = "89ab"[int(tail[3], 16) & 3]
    return f"{head[:8]}-{head[8:]}-7{tail[:3]}-{variant}{tail[4:7]}-{tail[7:19]}"

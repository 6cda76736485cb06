"""The machine that is measured on: a figure means little while others use it too."""

import os
import platform
import time
from pathlib import Path

SAMPLE_SECONDS = 1.0
BUSY = 0.1
"""From this part of the machine on, what others use spoils the figures."""


def describe() -> str:
    """The machine in a sentence, with a warning where other programs keep it busy."""
    busy = _busy_part()
    text = f"{os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}"
    if busy < BUSY:
        return text
    return f"{text}. Other programs use {busy:.0%} of it: the figures below are too low."


def _busy_part() -> float:
    before = _ticks()
    time.sleep(SAMPLE_SECONDS)
    after = _ticks()
    idle, whole = (later - earlier for later, earlier in zip(after, before, strict=True))
    return 1 - idle / whole if whole else 0.0


def _ticks() -> tuple[int, int]:
    """Idle ticks (waiting for the disk among them) and all ticks since the machine's start."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    ticks = [int(field) for field in fields[:8]]
    return ticks[3] + ticks[4], sum(ticks)

"""The memory of a process and its children, as the kernel counts it (Linux)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE_SECONDS = 0.25
_MB = 1024


def pss_mb(pid: int) -> float:
    """The proportional set size of the process tree, in megabytes."""
    return sum(_pss_kb(member) for member in _tree(pid)) / _MB


class Peak:
    """The highest figure seen so far, in megabytes."""

    def __init__(self) -> None:
        self.mb = 0.0


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Watch the process tree's memory for as long as the block lasts."""
    peak = Peak()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            peak.mb = max(peak.mb, pss_mb(pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            members += map(int, _text(children).split())
    return members


def _pss_kb(pid: int) -> int:
    for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _text(path: Path) -> str:
    """What the kernel says, nothing for a process that has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""

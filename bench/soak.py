"""`python -m bench.soak`: minutes at four fifths of what the server can do; does anything grow?

Every minute has 48 seconds of full load (batches of ten, sixteen connections, a question each
second beside it) and twelve of rest, in which memory and open files are counted. The first
quarter warms up and is left out of the growth.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.client import Client
from bench.instance import Server, running
from bench.load import Load, LoadResult, RunningLoad
from bench.memory import pss_mb
from bench.scale import FULL, Bench
from bench.stores import filled, new_store

CONNECTIONS, BATCH = 16, 10
LOADED_SECONDS, RESTING_SECONDS = 48.0, 12.0
MOST_MB_A_MINUTE = 1.0
MOST_MORE_FILES = 3
_QUESTION = "/api/stats?days=1"
_UNBOUNDED = 10**12


class Minute(msgspec.Struct, frozen=True):
    acknowledged: int
    p99_ms: float
    worst_ms: float
    memory_mb: float
    open_files: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=int, default=20)
    count = max(4, parser.parse_args().minutes)
    with tempfile.TemporaryDirectory() as scratch:
        folder = new_store(Bench(scale=FULL, scratch=Path(scratch), profile=False), "soak")
        with running(folder) as server:
            minutes = [_minute(server, folder, number) for number in range(count)]
            stored = int(server.metrics()['tokenwatcher_events_total{outcome="stored"}'])
    faults = findings(minutes)
    sent = sum(minute.acknowledged for minute in minutes)
    if stored != sent:
        faults.append(f"{sent} events were acknowledged and {stored} stored")
    print(f"{sent:,} events acknowledged, {stored:,} stored, in {count} minutes")
    for fault in faults:
        print(f"short: {fault}")
    return 1 if faults else 0


def _minute(server: Server, folder: Path, number: int) -> Minute:
    known = filled(folder)
    load = RunningLoad(
        Load(
            port=server.port,
            key=known.key,
            connections=CONNECTIONS,
            batch=BATCH,
            events=_UNBOUNDED,
            seconds=LOADED_SECONDS,
            seed=number,
        )
    )
    reader = Client(server.port, known.read_key)
    while not load.is_over():
        reader.get(_QUESTION)
        time.sleep(1)
    result: LoadResult = load.result()
    if result.refused:
        raise RuntimeError(f"{result.refused} events were refused: {result.first_refusal}")
    time.sleep(RESTING_SECONDS)
    reader.close()
    files = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
    minute = Minute(result.acknowledged, result.p99_ms, result.worst_ms, pss_mb(server.pid), files)
    print(
        f"minute {number + 1:3}: {minute.acknowledged:9,} events, p99 {minute.p99_ms:5.1f} ms,"
        f" worst {minute.worst_ms:6.1f} ms, {minute.memory_mb:5.0f} MB, {files} files",
        flush=True,
    )
    return minute


def findings(minutes: Sequence[Minute]) -> list[str]:
    """What grows that should not; empty for a server that could go on for ever."""
    warm = minutes[len(minutes) // 4 :]
    slope = growth([minute.memory_mb for minute in warm])
    more_files = warm[-1].open_files - warm[0].open_files
    half = len(warm) // 2
    before, after = (max(minute.p99_ms for minute in part) for part in (warm[:half], warm[half:]))
    print(f"memory grows by {slope:.2f} MB a minute, open files by {more_files};"
          f" the worst p99 is {before:.1f} ms, then {after:.1f} ms")  # fmt: skip
    faults = []
    if slope >= MOST_MB_A_MINUTE:
        faults.append(f"memory grows by {slope:.2f} MB a minute")
    if more_files > MOST_MORE_FILES:
        faults.append(f"{more_files} more open files")
    if after > 2 * before:
        faults.append(f"p99 went from {before:.1f} to {after:.1f} ms")
    return faults


def growth(values: Sequence[float]) -> float:
    """The slope of the straight line that fits best, for each step (least squares)."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    above = sum((at - middle) * (value - mean) for at, value in enumerate(values))
    return above / sum((at - middle) ** 2 for at in range(len(values)))


if __name__ == "__main__":
    sys.exit(main())

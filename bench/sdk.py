"""What the SDK costs an app: recording a call by hand, importing it, and keeping it at rest.

Import and memory are measured in processes of their own, beside the same process without the SDK;
its bytecode is there, as an installer leaves it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from bench.row import Limit, Row
from tokenwatcher import Answer, TokenWatcher

BLOCK = 200
BLOCKS = 50
PROCESSES = 7

_IMPORT = """
import {before}
import time
began = time.perf_counter()
import {package}
{use}
print((time.perf_counter() - began) * 1000)
"""
_AT_REST = """
import {package}
{use}
for line in open("/proc/self/status"):
    if line.startswith("VmRSS:"):
        print(int(line.split()[1]) / 1024)
"""
_A_CLIENT = "tokenwatcher.TokenWatcher"
"""What a client needs is imported only when it is first used, and counts all the same."""
_USE = """
import time
client = tokenwatcher.TokenWatcher("bench", "http://127.0.0.1:9", max_retries=0)
client.track_manual("openai", "gpt-4o", 1, 1)
client.flush(1)
"""
_STANDARD = "json, logging, threading, datetime, random, re, http.client, atexit, contextvars"
"""What the SDK uses of the standard library, and most apps have loaded anyhow."""


class _Discarding:
    def post(self, _path: str, _body: bytes) -> Answer:
        return Answer(200, b"")

    def close(self) -> None:
        """Nothing is held open."""


def measure() -> list[Row]:
    """The figures; each process is run several times, and the median counts."""
    return [
        _by_hand(),
        Row(
            figure="importing the SDK into an app that has loaded the same of the standard library",
            measured=_median(
                _IMPORT.format(before=_STANDARD, package="tokenwatcher", use=_A_CLIENT)
            ),
            unit="ms",
            better="lower",
            target=20.0,
            limits=(
                Limit(
                    "importing nothing more",
                    _median(_IMPORT.format(before=_STANDARD, package="json", use="")),
                ),
            ),
        ),
        _at_rest(),
    ]


def _by_hand() -> Row:
    """`track_manual` on the caller's thread, in blocks that leave the sender time to catch up."""
    watcher = TokenWatcher("bench", transport=_Discarding())
    each: list[float] = []
    try:
        for _ in range(BLOCKS):
            began = time.perf_counter()
            for _ in range(BLOCK):
                watcher.track_manual("openai", "gpt-4o", 1200, 300, latency_ms=800)
            each.append((time.perf_counter() - began) / BLOCK)
            watcher.flush(5)
    finally:
        watcher.shutdown()
    return Row(
        figure="`track_manual` on the caller's thread, median",
        measured=statistics.median(each) * 1e6,
        unit="µs",
        better="lower",
        target=5.0,
        limits=(Limit("taking the time and a lock", _least_work()),),
    )


def _least_work() -> float:
    """What no recording can do without: an instant, and a queue that threads share."""
    from queue import SimpleQueue

    queue: SimpleQueue[int] = SimpleQueue()
    each: list[float] = []
    for _ in range(BLOCKS):
        began = time.perf_counter()
        for _ in range(BLOCK):
            queue.put(time.time_ns())
        each.append((time.perf_counter() - began) / BLOCK)
    return statistics.median(each) * 1e6


def _at_rest() -> Row:
    with_sdk = _median(_AT_REST.format(package=f"{_STANDARD}, tokenwatcher", use=_USE))
    without = _median(_AT_REST.format(package=_STANDARD, use=""))
    return Row(
        figure="memory at rest that the SDK adds, its thread running",
        measured=with_sdk - without,
        unit="MB",
        better="lower",
        target=3.0,
        limits=(Limit("the app without it", without),),
    )


def _median(code: str) -> float:
    with tempfile.TemporaryDirectory() as bytecode:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        first, *counted = (
            float(
                subprocess.run(
                    [sys.executable, "-c", code],
                    capture_output=True,
                    text=True,
                    check=True,
                    env=environ,
                ).stdout
            )
            for _ in range(PROCESSES + 1)
        )
    del first  # it compiled
    return statistics.median(counted)

"""How fast the columns are brought up to the journal, and made anew."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from bench import limits
from bench.instance import ROOT
from bench.row import Limit, Row
from bench.scale import Bench
from bench.stores import copy_of, filled
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.embedded.files import StoreFiles

POLL_SECONDS = 0.02
LONGEST_SECONDS = 300.0
TARGET = 150_000


def measure(bench: Bench, folder: Path) -> list[Row]:
    events = filled(folder).events
    bare = limits.bare_columns(folder, bench.scratch, bench.scale.limits)
    scratch = copy_of(folder, bench.scratch / "columns")
    rates = {
        "applying the columns": events / asyncio.run(_applying_seconds(scratch)),
        "rebuilding the columns": events / _rebuilding_seconds(scratch),
    }
    return [
        Row(
            figure=figure,
            measured=rate,
            unit="events/s",
            better="higher",
            target=TARGET,
            limits=(Limit("bare DuckDB, same segments", bare),),
        )
        for figure, rate in rates.items()
    ]


async def _applying_seconds(folder: Path) -> float:
    """How long a store needs whose columns have been lost, from its opening on."""
    StoreFiles(folder).columns.unlink()
    began = time.perf_counter()
    store = await open_store(None, folder, SystemClock())
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            while True:
                figures = await store.statistics()
                if figures["applied_commits"] == figures["commits"]:
                    return time.perf_counter() - began
                await asyncio.sleep(POLL_SECONDS)
    finally:
        await store.close()


def _rebuilding_seconds(folder: Path) -> float:
    """The command's own start is not counted: `--help` needs that too."""
    command = [sys.executable, "-m", "tokenwatcher_server", "store", "rebuild"]
    start = _seconds([*command, "--help"])
    return _seconds([*command, "--data-dir", str(folder)]) - start


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began

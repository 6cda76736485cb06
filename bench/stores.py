"""Data folders to measure on: empty ones, and ones filled with made-up history."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.instance import ROOT
from bench.scale import Bench

MARKER = "bench.json"


class Filled(msgspec.Struct, frozen=True):
    """What a folder was filled with; `day` is the UTC day its history ends on."""

    events: int
    day: str
    workspace_id: str
    projects: dict[str, str]
    seconds: float


def new_store(bench: Bench, name: str) -> Path:
    """A folder with the made-up company and no events."""
    return filled_store(bench.scratch / name, 0)


def filled_store(folder: Path, events: int) -> Path:
    """A folder with so many events; one that was filled today is used again."""
    found = read_marker(folder)
    if found is None or found.events != events or found.day != today() or events == 0:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.fill", str(folder), str(events)]
        subprocess.run(command, cwd=ROOT, check=True)
    return folder


def read_marker(folder: Path) -> Filled | None:
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Filled)
    except (OSError, msgspec.DecodeError):
        return None


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def copy_of(folder: Path, name: str) -> Path:
    """A copy that may be changed, in place of one that is kept for the next run."""
    target = folder.parent / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target

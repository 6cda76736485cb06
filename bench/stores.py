"""Data folders to measure on: empty ones, and ones filled with made-up history."""

import os
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
    key: str
    """May send events to the company's workspace."""
    read_key: str


def new_store(bench: Bench, name: str) -> Path:
    """A folder with the made-up company and no events."""
    return copy_of(filled_store(bench.scratch / "empty", 0), bench.scratch / name)


def filled_store(folder: Path, events: int) -> Path:
    """A folder with so many events; one that was filled today is used again."""
    if not _holds(folder, events):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [sys.executable, "-m", "bench.fill", str(folder), str(events)]
        subprocess.run(command, cwd=ROOT, check=True)
    return folder


def filled(folder: Path) -> Filled:
    """What the folder was filled with. Raises OSError where it is not one of ours."""
    return msgspec.json.decode((folder / MARKER).read_bytes(), type=Filled)


def _holds(folder: Path, events: int) -> bool:
    try:
        found = filled(folder)
    except (OSError, msgspec.DecodeError):
        return False
    return found.events == events and found.day == today()


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def copy_of(folder: Path, target: Path) -> Path:
    """A copy that may be changed, in place of one that others still need.

    It lies on the disk before anything is measured on it: else a commit waits for the copy too.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    os.sync()
    return target

"""The security check-up: what an instance is made of, point by point, each with a verdict.

Pure: `Facts` go in, points come out. `checkup_facts.py` gathers them, `tokenwatcher doctor` and
the page of the dashboard show the points.
"""

from typing import Literal

import msgspec

from tokenwatcher_server.access.keys import KeyRecord
from tokenwatcher_server.settings import Settings

Verdict = Literal["good", "warning", "wrong"]


class FilePermissions(msgspec.Struct, frozen=True):
    """A file or folder of the instance, as the system has it."""

    path: str
    mode: int
    """The permission bits alone."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    settings: Settings
    now_us: int
    database_answers: bool | None
    """None where there is none before the first start."""
    keys: tuple[KeyRecord, ...] = ()
    people: int = 0
    password_hashes: tuple[str, ...] = ()
    """How each begins: its method, never the hash."""
    files: tuple[FilePermissions, ...] = ()
    backed_up_at: int | None = None
    runs_as_root: bool = False
    violations: int | None = None
    """Reported against the policy since the start; None where no server was asked."""
    versions: tuple[tuple[str, str], ...] = ()


class Point(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    title: str
    verdict: Verdict
    found: str
    why: str
    mend: str = ""
    """The command or variable that changes it; empty where nothing needs to change."""


class Checkup(msgspec.Struct, frozen=True):
    points: tuple[Point, ...]

    @property
    def wrong(self) -> int:
        return self.count("wrong")

    def count(self, verdict: Verdict) -> int:
        return sum(point.verdict == verdict for point in self.points)

"""One figure: what was measured, its limit in the same run, and the target."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Better = Literal["higher", "lower"]


class Limit(msgspec.Struct, frozen=True):
    """What the machine can do at most: the same work without the part that is measured."""

    name: str
    value: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """`target` and `least_ratio` (to the first limit) must both hold, where they are set."""

    figure: str
    measured: float
    unit: str
    better: Better
    target: float | None = None
    least_ratio: float | None = None
    limits: tuple[Limit, ...] = ()
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The measured part of the first limit."""
        return self.measured / self.limits[0].value if self.limits else None

    @property
    def verdict(self) -> str:
        if self.target is None and self.least_ratio is None:
            return ""
        return "reached" if not self.shortfalls() else "short"

    def shortfalls(self) -> list[str]:
        """What is missing to the target, in words; empty where it is reached."""
        missing: list[str] = []
        if self.target is not None:
            reached = self.measured >= self.target
            if self.better == "lower":
                reached = self.measured <= self.target
            if not reached:
                missing.append(f"{number(self.measured)} against {number(self.target)} {self.unit}")
        if self.least_ratio is not None and (self.ratio is None or self.ratio < self.least_ratio):
            missing.append(f"{self.ratio or 0:.2f} of the limit against {self.least_ratio}")
        return missing


def number(value: float) -> str:
    """Short and readable: `31,250`, `250`, `4.72`, `0.31`."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """The rows as text, a line for each figure and for each further limit."""
    cells = [("figure", "measured", "limit in the same run", "ratio", "target", "verdict")]
    for row in rows:
        cells.extend(_cells(row))
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _cells(row: Row) -> list[tuple[str, str, str, str, str, str]]:
    limits = [f"{number(limit.value)} {limit.name}" for limit in row.limits] or [""]
    ratios = [f"{row.measured / limit.value:.2f}" for limit in row.limits] or [""]
    figure = f"{row.figure} ({row.note})" if row.note else row.figure
    measured = f"{number(row.measured)} {row.unit}"
    first = (figure, measured, limits[0], ratios[0], _target(row), row.verdict)
    others = [
        ("", "", limit, ratio, "", "") for limit, ratio in zip(limits[1:], ratios[1:], strict=True)
    ]
    return [first, *others]


def _target(row: Row) -> str:
    sign = "≥" if row.better == "higher" else "≤"
    parts = []
    if row.least_ratio is not None:
        parts.append(f"ratio ≥ {row.least_ratio}")
    if row.target is not None:
        parts.append(f"{sign} {number(row.target)}")
    return ", ".join(parts)

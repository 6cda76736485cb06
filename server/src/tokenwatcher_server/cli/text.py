"""Plain tables for a terminal."""

from collections.abc import Sequence

from tokenwatcher_server.kernel.clock import to_datetime


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart."""
    if not rows:
        return "None yet."
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    )
    return "\n".join(lines)


def when(instant_us: int | None) -> str:
    """A time to the minute, in UTC; a dash where there is none."""
    return "–" if instant_us is None else to_datetime(instant_us).strftime("%Y-%m-%d %H:%M")

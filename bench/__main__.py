"""`python -m bench`: measure everything and print one table."""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from bench import (
    clickhouse,
    columns,
    footprint,
    ingest,
    machine,
    postgres,
    pricing,
    queries,
    sdk,
    visible,
    wrapped,
)
from bench.row import Row, table
from bench.scale import FULL, QUICK, Bench
from bench.stores import copy_of, filled_store

Step = tuple[str, Callable[[], Sequence[Row]]]


class Figure(msgspec.Struct, frozen=True):
    """A row of the table as it is written to the JSON file."""

    row: Row
    ratio: float | None
    verdict: str


def main() -> int:
    options = _options()
    scale = QUICK if options.quick else FULL
    with ExitStack() as stack:
        scratch = options.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(scale=scale, scratch=scratch, profile=options.profile)
        kept = options.stores or scratch
        place = machine.describe()
        rows, failed = _run(_steps(bench, kept), options.only)
        if options.profile:
            _print_profiles(scratch)
    print(f"\n{place}\n\n{table(rows)}\n")
    short = [row for row in rows if row.shortfalls()]
    for row in short:
        print(f"short: {row.figure}: {'; '.join(row.shortfalls())}")
    if scale is QUICK:
        print("Quick: the stores are small, so only the whole run's figures count.")
    if short and not options.profile:
        print("Run with --profile to see where the time goes.")
    if options.json:
        figures = [Figure(row, row.ratio, row.verdict) for row in rows]
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    for failure in failed:
        print(f"failed: {failure}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small stores, under a minute")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--only", nargs="+", default=[], help="only the steps of these names")
    parser.add_argument(
        "--stores", type=Path, help="keep the filled stores here and use them again"
    )
    parser.add_argument("--scratch", type=Path, help="work in this folder and leave it there")
    parser.add_argument("--profile", action="store_true", help="show where the servers' time goes")
    return parser.parse_args()


def _steps(bench: Bench, kept: Path) -> list[Step]:
    """Every step by name; stores are filled when the first step needs them."""
    scale = bench.scale

    def small() -> Path:
        return filled_store(kept / f"small-{scale.name}", scale.small_store)

    def large() -> Path:
        return filled_store(kept / f"large-{scale.name}", scale.large_store)

    def on_large() -> list[Row]:
        return ingest.measure_singles_on(
            bench, copy_of(large(), bench.scratch / "under-load"), scale.large_store
        )

    return [
        ("pricing", lambda: pricing.measure(bench)),
        ("batches", lambda: ingest.measure_batches(bench)),
        ("singles", lambda: ingest.measure_singles(bench)),
        ("singles-on-large", on_large),
        ("visible", lambda: visible.measure(bench, copy_of(small(), bench.scratch / "visible"))),
        ("columns", lambda: columns.measure(bench, small())),
        ("queries", lambda: queries.measure_small(bench, small())),
        ("queries-on-large", lambda: queries.measure_large(bench, large())),
        ("postgres", lambda: postgres.measure(bench)),
        ("clickhouse", lambda: clickhouse.measure(bench)),
        ("disk", lambda: footprint.measure_disk(large())),
        ("start", lambda: footprint.measure_start_and_idle(large())),
        ("sdk", sdk.measure),
        ("wrapped", lambda: wrapped.measure(scale.wrapped)),
    ]


def _run(steps: Sequence[Step], only: Sequence[str]) -> tuple[list[Row], list[str]]:
    """The rows, and what went wrong: one figure that can't be had doesn't cost the others."""
    rows: list[Row] = []
    failed: list[str] = []
    for name, measure in steps:
        if only and name not in only:
            continue
        began = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
        try:
            rows += measure()
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
        print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    return rows, failed


def _print_profiles(scratch: Path) -> None:
    for report in sorted(scratch.rglob("profile.txt")):
        print(f"\nWhere the server's time went: {report.parent.name}\n{report.read_text()}")


if __name__ == "__main__":
    sys.exit(main())

"""The bench runs, and judges a figure as its targets say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_a_quick_step_prints_its_row_and_writes_it(tmp_path: Path) -> None:
    written = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "bench",
        "--quick",
        "--only",
        "pricing",
        "--json",
        str(written),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pricing, one core" in done.stdout
    (figure,) = json.loads(written.read_text())
    assert figure["verdict"] in {"reached", "short"}
    assert figure["row"]["measured"] > 0


@pytest.mark.parametrize(
    ("better", "measured", "target", "least_ratio", "limit", "verdict"),
    [
        ("higher", 100, 100, None, None, "reached"),
        ("higher", 99, 100, None, None, "short"),
        ("lower", 100, 100, None, None, "reached"),
        ("lower", 101, 100, None, None, "short"),
        ("higher", 100, 50, 0.3, 300, "reached"),
        ("higher", 100, 50, 0.3, 400, "short"),
        ("higher", 100, None, None, 400, ""),
    ],
)
def test_a_verdict_needs_the_target_and_the_ratio(
    monkeypatch: pytest.MonkeyPatch,
    better: str,
    measured: float,
    target: float | None,
    least_ratio: float | None,
    limit: float | None,
    verdict: str,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.row import Limit, Row

    row = Row(
        figure="a figure",
        measured=measured,
        unit="events/s",
        better="higher" if better == "higher" else "lower",
        target=target,
        least_ratio=least_ratio,
        limits=() if limit is None else (Limit("alone", limit),),
    )
    assert row.verdict == verdict

"""One file, one idea: a long one says here why it is long."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
LONGEST = 320
ALLOWED: dict[str, str] = {}


def test_files_stay_short_enough_to_hold_one_idea() -> None:
    long = {}
    for folder in ("server/src", "sdk/src", "bench"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > LONGEST:
                long[str(path.relative_to(ROOT))] = lines
    assert long.keys() == ALLOWED.keys(), long


def test_nothing_unfinished_is_left_in_the_code() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", "coming " + "soon")
    found = [
        f"{path.relative_to(ROOT)}: {mark}"
        for folder in ("server", "sdk", "bench", "docs", "wire")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".html", ".css", ".js", ".md"} and "vendor" not in path.parts
        for mark in marks
        if mark in path.read_text(encoding="utf-8")
    ]
    assert found == []

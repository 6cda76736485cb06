"""The versions that the documentation states are those that are run."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([\d.]+) \| ([\d.]+) \|", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", text, re.MULTILINE))


def test_stated_versions_of_providers_libraries_are_those_that_are_run() -> None:
    rows = ROW.findall((ROOT / "docs" / "providers.md").read_text())
    oldest, newest = pins("oldest.in"), pins("dev.txt")
    assert {library: version for library, version, _ in rows} == oldest
    assert {library: version for library, _, version in rows} == {
        library: newest[library] for library in oldest
    }

"""What the documentation says is what the code does."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GENERATED = runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == GENERATED[name](), "run `make docs`"


def test_every_command_the_readme_names_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    cli = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for target in ("demo", "serve", "test", "check", "bench"):
        assert f"make {target}" in readme
        assert f"\n{target}:" in makefile
    for command in ("prices explain", "prices unpriced", "prices set", "store verify"):
        assert f"`{command}" in readme or f"tokenwatcher {command}" in readme
        assert f"## `tokenwatcher {command}`" in cli

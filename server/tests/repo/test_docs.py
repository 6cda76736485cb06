"""What the documentation says is what the code does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


# In a process of its own: click keeps what an earlier test of the same process made of a command.
@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    script = ROOT / "scripts" / "generate_docs.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder


@pytest.mark.parametrize("name", ["cli.md", "settings.md"])
def test_a_generated_page_is_up_to_date(generated: Path, name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == (generated / name).read_text(encoding="utf-8"), "run `make docs`"


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

"""A start that can't be: one clear line that says what to mend, and nothing touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "tokenwatcher_server", "serve", "--port", "0", "--data-dir"]


def refusal(data_dir: Path, **environment: str) -> str:
    """What the command says; it must end by itself, in one line."""
    done = subprocess.run(
        [*COMMAND, str(data_dir)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_a_data_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = refusal(tmp_path / "file" / "data")
    assert "can't be made (Not a directory)" in said
    assert "--data-dir" in said


def test_a_data_folder_on_a_disk_that_takes_nothing_is_named(small_disk: Path) -> None:
    (small_disk / "there").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "can't be written" in refusal(small_disk / "there")
    assert "can't be made (Read-only file system)" in refusal(small_disk / "new")


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/none", "mysql://db/x", "nonsense"])
def test_a_database_that_cant_be_used_is_refused_by_its_variable(tmp_path: Path, url: str) -> None:
    secret = "Wq7-kT2_vB9xLmN4pR8sYc3dFh6jGz1a"
    said = refusal(tmp_path / "data", DATABASE_URL=url, DASHBOARD_SESSION_SECRET=secret)
    assert said.startswith("Error: DATABASE_URL: ")
    assert not list((tmp_path / "data").glob("*.db"))

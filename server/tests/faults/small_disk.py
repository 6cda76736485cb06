"""File systems that fill up soon."""

import os
import subprocess
from pathlib import Path

import pytest

SIZE = "160m"


def mount_small_disk(folder: Path) -> None:
    """Mount a file system of SIZE on an empty folder; skips the test where that is not allowed."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = "a small file system can't be mounted here (that takes root): " + done.stderr
        assert os.environ.get("CI") != "true", message
        pytest.skip(message)


def fill(file: Path) -> None:
    """Take all the room there is."""
    with file.open("wb") as ballast:
        while True:
            try:
                ballast.write(b"\0" * 65_536)
                ballast.flush()
            except OSError:
                return

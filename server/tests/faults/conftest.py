"""A server behind a network that fails when told to, and what it has stored of one model."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.tests.faults.flaky import FlakyNetwork
from server.tests.faults.small_disk import mount_small_disk

Stored = Callable[[Any, str], tuple[int, int]]


@pytest.fixture
def network(instance: Any) -> Iterator[FlakyNetwork]:
    """Leads to the server that tests share."""
    running = FlakyNetwork(instance.url)
    yield running
    running.close()


@pytest.fixture
def stored() -> Stored:
    """The number of events of a model on a server, and the sum of their input tokens."""

    def totals(instance: Any, model: str) -> tuple[int, int]:
        with instance.client(instance.key("--kind", "read")) as client:
            answer = client.get(
                "/api/query", params={"measures": "calls,inputTokens", "model": model}
            ).json()
        [row] = answer["rows"] or [{"calls": 0, "inputTokens": 0}]
        return int(row["calls"]), int(row["inputTokens"] or 0)

    return totals


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount_small_disk(folder)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

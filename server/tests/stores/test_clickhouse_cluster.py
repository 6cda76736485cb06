"""What can be known of a cluster without one: its statements, as text and as the engine takes them."""

import json
import subprocess
import sys
from pathlib import Path

from tokenwatcher_server.stores.clickhouse.schema import steps, version_table

SNAPSHOT = Path(__file__).with_name("clickhouse_cluster.sql")
READ_ONLY, NO_LONGER_THERE = 242, 236
"""What is said of a replica that is not active, when all else is right."""


def test_the_tables_of_a_cluster_are_these() -> None:
    """They can't be filled here, so what they are is read."""
    statements = [*version_table("tokens"), *(each for step in steps("tokens") for each in step)]
    assert ";\n\n".join(statements) + ";\n" == SNAPSHOT.read_text(encoding="utf-8")


def test_the_engine_makes_replicated_tables_and_may_erase_from_them(tmp_path: Path) -> None:
    """A deletion that compares with another table has to be allowed where there are replicas."""
    done = subprocess.run(
        [sys.executable, "-m", "server.tests.stores.makes_replicated_tables", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    names = ("events", "events_erased", "events_version", "events_written")
    assert found["tables"] == {
        **dict.fromkeys(names, "Distributed"),
        **{f"{name}_local": "ReplicatedReplacingMergeTree" for name in names},
    }
    assert set(found["making"]) == {READ_ONLY}
    assert set(found["erasing"]) <= {READ_ONLY, NO_LONGER_THERE}

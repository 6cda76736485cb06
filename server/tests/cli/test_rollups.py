"""Hourly sums are made anew by command and by schedule, and stay what they were."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.tests.conftest import SECRET, Instance
from server.tests.postgres_server import Postgres

EVENT = {"provider": "openai", "model": "gpt-4o-mini", "inputTokens": 1_000, "outputTokens": 10}
EVER = ("--from", "2020-01-01", "--to", "2100-01-01")
BEARER = "a secret for what rebuilds 7 totals"


@pytest.fixture
def on_postgres(postgres: Postgres, tmp_path: Path) -> Iterator[Instance]:
    running = Instance(
        tmp_path / "data",
        DATABASE_URL=postgres.new_database(),
        DASHBOARD_SESSION_SECRET=SECRET,
        ROLLUP_REBUILD_SECRET=BEARER,
    )
    yield running
    running.kill()


def sent(instance: Instance, count: int) -> None:
    with instance.client(instance.key()) as client:
        answer = client.post("/api/ingest/batch", json={"events": [EVENT] * count})
    assert answer.status_code == 200


def overview(instance: Instance) -> Any:
    with instance.client(instance.key("--kind", "read")) as client:
        return client.get("/api/stats").json()["overview"]


def test_the_command_sums_a_workspace_or_all_anew_beside_the_server(on_postgres: Instance) -> None:
    sent(on_postgres, 30)
    before = overview(on_postgres)
    assert "Summed 30 events anew" in on_postgres.command("rollups", "rebuild", *EVER)
    one = on_postgres.command("rollups", "rebuild", *EVER, "--workspace", "default", "--json")
    assert json.loads(one) == {"events": 30}
    assert overview(on_postgres) == before


def test_a_schedule_with_the_secret_may_do_it_and_nobody_else(on_postgres: Instance) -> None:
    sent(on_postgres, 5)
    with on_postgres.client() as client:
        path = "/api/admin/rebuild-rollups"
        assert client.post(path).status_code == 401
        answer = client.post(path, headers={"Authorization": f"Bearer {BEARER}"})
    assert answer.json() == {"success": True, "rollups": ["hours", "tagHours"], "events": 5}


def test_a_workspace_that_is_not_there_is_named(on_postgres: Instance) -> None:
    with pytest.raises(AssertionError, match="There is no workspace 'none'"):
        on_postgres.command("rollups", "rebuild", *EVER, "--workspace", "none")


def test_in_a_folder_it_says_what_does_it(tmp_path: Path) -> None:
    running = Instance(tmp_path / "data", ROLLUP_REBUILD_SECRET=BEARER)
    try:
        sent(running, 3)
        assert "tokenwatcher store rebuild" in running.command("rollups", "rebuild", *EVER)
        with running.client() as client:
            answer = client.post(
                "/api/admin/rebuild-rollups", headers={"Authorization": f"Bearer {BEARER}"}
            )
        assert answer.json() == {"success": True, "rollups": [], "events": 0}
    finally:
        running.kill()

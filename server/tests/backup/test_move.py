"""An instance moves to a database and back, loses nothing, and goes on where a move was ended."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from server.tests.backup.test_backup import EVENT, UNPRICED, cli, overview, sent
from server.tests.conftest import COMMAND, SECRET, Instance
from server.tests.postgres_server import Postgres
from tokenwatcher_server.access.secrets import FILE_NAME


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A data folder without a server: what it came to, and a key that works on it."""
    instance = Instance(tmp_path_factory.mktemp("source") / "data")
    sent(instance, *[EVENT] * 40, UNPRICED)
    instance.command("prices", "set", "acme", "roadrunner-*", "--input", "1", "--output", "2")
    instance.command("prices", "apply", "--from", "2020-01-01", "--to", "2100-01-01")
    sent(instance, *[EVENT | {"tags": {"team": "search"}}] * 10)
    expected, key = overview(instance), instance.key("--kind", "read")
    assert instance.stop() == 0
    return instance.data_dir, expected, key


def started_on(url: str, folder: Path, secret: str) -> Instance:
    return Instance(folder, DATABASE_URL=url, DASHBOARD_SESSION_SECRET=secret)


def seen(instance: Instance, key: str) -> dict[str, Any]:
    with instance.client(key) as client:
        found: dict[str, Any] = client.get("/api/stats").json()["overview"]
    return found


def test_a_folder_moves_to_postgresql_and_back_with_every_number_and_key(
    source: tuple[Path, dict[str, Any], str], postgres: Postgres, tmp_path: Path
) -> None:
    folder, expected, key = source
    url = postgres.new_database()
    moved = json.loads(cli("migrate-store", "--from", folder, "--to", url, "--json").stdout)
    assert (moved["events"], moved["alreadyThere"]) == (51, 0)

    there = started_on(url, tmp_path / "there", (folder / FILE_NAME).read_text())
    assert seen(there, key) == expected
    assert there.cli("store", "verify")["sound"] is True
    assert there.stop() == 0

    back = tmp_path / "back"
    done = cli("migrate-store", "--from", url, "--to", back)
    assert done.exit_code == 0, done.output
    assert "51 events" in done.stdout
    again = Instance(back)
    assert seen(again, key) == expected
    assert again.cli("store", "verify")["sound"] is True
    again.kill()


def test_a_move_that_was_killed_goes_on_and_ends_equal(postgres: Postgres, tmp_path: Path) -> None:
    big = Instance(tmp_path / "big")
    with big.client(big.key()) as client:
        for _ in range(12):
            body = {"events": [EVENT] * 1000}
            assert client.post("/api/ingest/batch", json=body).status_code == 200
    key = big.key("--kind", "read")
    expected = seen(big, key)
    assert big.stop() == 0
    url = postgres.new_database()
    command = [*COMMAND, "migrate-store", "--from", str(big.data_dir), "--to", url]
    moving = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_events(postgres, url)
    os.kill(moving.pid, signal.SIGKILL)
    moving.wait()

    moved = json.loads(cli("migrate-store", "--from", big.data_dir, "--to", url, "--json").stdout)
    assert moved["events"] == 12_000
    assert moved["alreadyThere"] > 0
    there = started_on(url, tmp_path / "there", SECRET)
    assert seen(there, key) == expected
    there.kill()


def wait_for_events(postgres: Postgres, url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        there = postgres.sql("select to_regclass('event_counts') is not null", url).strip()
        if there == "t" and int(postgres.sql("select sum(events) from event_counts", url)):
            return
        time.sleep(0.02)
    raise AssertionError("no event arrived")


def test_a_place_that_holds_an_instance_is_left_alone(
    source: tuple[Path, dict[str, Any], str], postgres: Postgres
) -> None:
    folder, _, _ = source
    url = postgres.new_database()
    assert cli("migrate-store", "--from", folder, "--to", url).exit_code == 0
    refused = cli("migrate-store", "--from", folder, "--to", url)
    assert refused.exit_code == 1
    assert "holds an instance already" in refused.stderr
    assert url not in refused.output


def test_a_source_with_a_running_server_is_refused(tmp_path: Path) -> None:
    running = Instance(tmp_path / "data")
    refused = cli("migrate-store", "--from", running.data_dir, "--to", tmp_path / "to")
    assert refused.exit_code == 1
    assert "stop it first" in refused.stderr
    running.kill()


@pytest.mark.parametrize("name", ["mysql://x/y", "http://127.0.0.1/"])
def test_a_place_of_no_known_kind_is_named(name: str, tmp_path: Path) -> None:
    refused = cli("migrate-store", "--from", tmp_path, "--to", name)
    assert refused.exit_code == 2
    assert "postgresql://" in refused.stderr


def test_a_database_is_backed_up_while_its_server_runs_and_restored_into_another(
    postgres: Postgres, tmp_path: Path
) -> None:
    instance = started_on(postgres.new_database(), tmp_path / "data", SECRET)
    sent(instance, *[EVENT] * 30, UNPRICED)
    key, expected = instance.key("--kind", "read"), overview(instance)
    copy = tmp_path / "copy"
    instance.command("backup", str(copy))
    instance.kill()
    assert cli("backup", "verify", copy).exit_code == 0

    url = postgres.new_database()
    done = cli("restore", copy, "--into", url)
    assert done.exit_code == 0, done.output
    there = started_on(url, tmp_path / "there", SECRET)
    assert seen(there, key) == expected
    there.kill()
    refused = cli("restore", copy, "--into", url)
    assert refused.exit_code == 1
    assert "holds an instance already" in refused.stderr


def test_pg_dump_and_pg_restore_carry_the_whole_instance(
    postgres: Postgres, tmp_path: Path
) -> None:
    instance = started_on(postgres.new_database(), tmp_path / "data", SECRET)
    sent(instance, *[EVENT] * 30, UNPRICED)
    key, expected = instance.key("--kind", "read"), overview(instance)
    url = postgres.new_database()
    postgres.copy_database(instance.environment["DATABASE_URL"], url)
    instance.kill()
    there = started_on(url, tmp_path / "there", SECRET)
    assert seen(there, key) == expected
    assert there.cli("store", "verify")["sound"] is True
    there.kill()

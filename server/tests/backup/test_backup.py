"""A backup is the whole instance at one moment, proved by restoring it, and refused if damaged."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from server.tests.conftest import Instance
from tokenwatcher_server.cli.main import main

EVENT = {"provider": "openai", "model": "gpt-4o-mini", "inputTokens": 1_000, "outputTokens": 10}
UNPRICED = {"provider": "acme", "model": "roadrunner-1", "inputTokens": 3, "outputTokens": 4}


def sent(instance: Instance, *events: dict[str, Any]) -> None:
    with instance.client(instance.key()) as client:
        answer = client.post("/api/ingest/batch", json={"events": list(events)})
    assert answer.status_code == 200, answer.text


def overview(instance: Instance) -> dict[str, Any]:
    with instance.client(instance.key("--kind", "read")) as client:
        found: dict[str, Any] = client.get("/api/stats").json()["overview"]
    return found


def cli(*arguments: object) -> Result:
    """Run a command, in a thread of this process as starting one takes a second or two."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, main, [*map(str, arguments)]).result()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A backup with events, an unpriced one that got a price later, and what it came to."""
    folder = tmp_path_factory.mktemp("backup")
    instance = Instance(folder / "data")
    sent(instance, *[EVENT] * 30, UNPRICED)
    instance.command("prices", "set", "acme", "roadrunner-*", "--input", "1", "--output", "2")
    instance.command("prices", "apply", "--from", "2020-01-01", "--to", "2100-01-01")
    expected = overview(instance)
    assert instance.stop() == 0
    instance.command("backup", str(folder / "copy"))
    return folder / "copy", expected


@pytest.fixture
def copy(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """The same backup, for a test that damages it."""
    target = tmp_path / "copy"
    target.mkdir()
    for path in made[0].iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_a_restored_instance_has_the_same_keys_sums_and_prices(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    backup, expected = made
    done = cli("restore", backup, "--into", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert "31 events (1 priced again)" in done.stdout

    instance = Instance(tmp_path / "data")
    try:
        assert overview(instance) == expected
        assert expected["unpricedCount"] == 0
        [price] = json.loads(instance.command("prices", "list", "--json"))
        assert "roadrunner-*" in price.values()
        assert "Sound: 31 events" in instance.command("store", "verify")
        with instance.client(instance.key("--kind", "read")) as client:
            [repriced] = client.get("/api/events?provider=acme").json()["events"]
        assert "roadrunner" in instance.command("prices", "explain", repriced["id"])
    finally:
        assert instance.stop() == 0


def test_what_the_control_data_held_is_held_again(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    assert cli("restore", made[0], "--into", tmp_path / "data").exit_code == 0
    before, after = rows(made[0].parent / "data"), rows(tmp_path / "data")
    short_lived = {"sessions", "sign_in_links", "sign_in_failures"}
    assert {name for name in before if before[name] != after[name]} <= {"audit_log"} | short_lived
    assert set(map(str, before["audit_log"][:-1])) <= set(map(str, after["audit_log"]))
    assert [row.action for row in after["audit_log"]][-1] == "backup.restore"
    [was, now] = [
        folder / "session.secret" for folder in (made[0].parent / "data", tmp_path / "data")
    ]
    assert was.read_bytes() == now.read_bytes()


def rows(data_dir: Path) -> dict[str, list[Any]]:
    engine = create_engine(f"sqlite:///{data_dir / 'control.db'}")
    with engine.connect() as connection:
        names = connection.execute(text("select name from sqlite_master where type = 'table'"))
        found = {
            name: list(connection.execute(text(f"select * from {name} order by 1")))
            for (name,) in names.all()
            if not name.startswith("sqlite_")
        }
    engine.dispose()
    return found


def test_a_backup_made_under_load_holds_what_was_acknowledged_before_it(
    new_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance, over, acknowledged = new_instance(), threading.Event(), [0]

    def load() -> None:
        with instance.client(instance.key()) as client:
            while not over.is_set():
                answer = client.post("/api/ingest/batch", json={"events": [EVENT] * 50})
                assert answer.status_code == 200
                acknowledged[0] += 50

    loading = threading.Thread(target=load)
    loading.start()
    while acknowledged[0] < 500:
        time.sleep(0.01)
    before = acknowledged[0]
    done = json.loads(instance.command("backup", str(tmp_path / "copy"), "--json"))
    after = acknowledged[0] + 50
    over.set()
    loading.join()

    assert before <= done["events"] <= after
    proved = cli("backup", "verify", tmp_path / "copy", "--json")
    assert proved.exit_code == 0, proved.output
    assert json.loads(proved.stdout)["events"] == done["events"]
    points = json.loads(instance.command("doctor", "--json"))["points"]
    doctor = {point["title"]: point["verdict"] for point in points}
    assert doctor["Backup"] == "good"


def test_a_backup_is_for_its_owner_alone(made: tuple[Path, dict[str, Any]]) -> None:
    assert made[0].stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made[0].iterdir()} == {0o600}


def refusal(*arguments: object) -> str:
    done = cli(*arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    return done.output


@pytest.mark.parametrize(
    "name", ["events-000001.parquet", "repricings.parquet", "control.jsonl", "session.secret"]
)
def test_a_changed_byte_anywhere_is_found_and_its_file_named(
    copy: Path, tmp_path: Path, name: str
) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert f"{name}: not the bytes that were written" in refusal("backup", "verify", copy)
    refusal("restore", copy, "--into", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "control.jsonl").unlink()
    assert "control.jsonl: missing" in refusal("backup", "verify", copy)


def changed(copy: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((copy / "manifest.json").read_bytes())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))


def test_a_total_that_is_off_by_a_picodollar_is_found(copy: Path) -> None:
    def add_one(manifest: dict[str, Any]) -> None:
        manifest["totals"][0]["cost"] += 1

    changed(copy, add_one)
    assert "is not what was backed up: workspace " in refusal("backup", "verify", copy)


def test_a_newer_backup_is_refused(copy: Path) -> None:
    changed(copy, lambda manifest: manifest.update(version=2))
    assert "in a form (version 2) that this one doesn't know" in refusal("backup", "verify", copy)


def test_a_manifest_can_not_name_a_file_elsewhere(copy: Path) -> None:
    def escape(manifest: dict[str, Any]) -> None:
        manifest["files"][0]["name"] = "../control.jsonl"

    changed(copy, escape)
    assert "not the name of a file in the backup" in refusal("backup", "verify", copy)


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_folder_in_use_is_left_alone(copy: Path, tmp_path: Path, command: str) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "mine").write_text("mine")
    arguments = ("restore", copy, "--into", used)
    if command == "backup":
        data = tmp_path / "data"
        assert cli("restore", copy, "--into", data).exit_code == 0
        arguments = ("backup", used, "--data-dir", data)
    assert "is not empty" in refusal(*arguments)
    assert [path.name for path in used.iterdir()] == ["mine"]


def test_a_killed_restore_leaves_no_instance_that_looks_whole(copy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tokenwatcher_server", "restore", str(copy), "--into"]
    with subprocess.Popen([*command, str(tmp_path / "data")]) as process:
        while not list(tmp_path.glob(".data.*")) and process.poll() is None:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "data").exists()
    assert cli("restore", copy, "--into", tmp_path / "data").exit_code == 0


def test_there_must_be_an_instance(tmp_path: Path) -> None:
    assert "There is no instance in" in refusal(
        "backup", tmp_path / "copy", "--data-dir", tmp_path / "none"
    )
    assert "is not a backup" in refusal("restore", tmp_path, "--into", tmp_path / "data")

"""A data folder that can't be used: one clear line that says what to do, and nothing touched."""

import hashlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def tokenwatcher(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tokenwatcher_server", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def serve(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return tokenwatcher("serve", "--port", "0", "--data-dir", str(data_dir), **environment)


def assert_one_clear_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert serve(tmp_path / "data").returncode in {1, 2}
    assert (tmp_path / "data").read_text() == "not a folder"


def test_a_second_server_on_the_same_folder_is_refused(new_instance: Any) -> None:
    running = new_instance()
    assert_one_clear_line(serve(running.data_dir), "running")
    with running.client() as client:
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("name", ["journal.db", "control.db"])
def test_a_damaged_database_is_refused_and_untouched(new_instance: Any, name: str) -> None:
    running = new_instance()
    running.stop()
    damaged = running.data_dir / name
    damaged.write_bytes(b"this is no database" * 1000)
    for beside in ("-wal", "-shm"):
        (running.data_dir / (name + beside)).unlink(missing_ok=True)
    before = digest(running.data_dir)
    assert_one_clear_line(serve(running.data_dir), name)
    assert digest(running.data_dir)[name] == before[name]


def test_lost_columns_are_made_anew_from_the_journal(new_instance: Any) -> None:
    running = new_instance()
    key, reader = running.key(), running.key("--kind", "read")
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 7, "outputTokens": 1}
    with running.client(key) as client:
        assert client.post("/api/ingest", json=event).status_code == 200
    running.stop()
    (running.data_dir / "events.duckdb").unlink()
    running.start()
    with running.client(reader) as client:
        assert client.get("/api/stats").json()["overview"]["totalInputTokens"] == 7


@pytest.mark.parametrize("table", ["api_keys", "audit_log", "rate_lines"])
def test_one_damaged_page_of_the_control_data_is_found_at_the_start(
    new_instance: Any, table: str
) -> None:
    running = new_instance()
    running.stop()
    file = running.data_dir / "control.db"
    with closing(sqlite3.connect(file)) as connection:
        [size] = connection.execute("pragma page_size").fetchone()
        root = "select rootpage from sqlite_master where name = ?"
        [page] = connection.execute(root, (table,)).fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 8] = b"damaged!"
    file.write_bytes(content)
    assert_one_clear_line(serve(running.data_dir), "control.db", "damaged")


@pytest.mark.parametrize("lost", [["control.db", "control.db-wal"], ["control.db-wal"]])
def test_lost_control_data_is_refused_while_there_are_events_and_works_once_put_back(
    new_instance: Any, lost: list[str]
) -> None:
    running = new_instance()
    key, reader = running.key(), running.key("--kind", "read")
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 7, "outputTokens": 1}
    with running.client(key) as client:
        assert client.post("/api/ingest", json=event).status_code == 200
    running.kill()
    kept = {path: path.read_bytes() for path in running.data_dir.glob("control.db*")}
    for name in lost:
        (running.data_dir / name).unlink()
    for said in (
        serve(running.data_dir),
        tokenwatcher("store", "verify", "--data-dir", str(running.data_dir)),
    ):
        assert_one_clear_line(said, "1 of them", "control.db-wal", "Put both back")
    for path in running.data_dir.glob("control.db*"):
        path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    running.start()
    with running.client(reader) as client:
        assert client.get("/api/stats").json()["overview"]["totalInputTokens"] == 7


def test_a_command_on_a_folder_that_is_refused_says_why_in_one_line(new_instance: Any) -> None:
    running = new_instance()
    running.stop()
    (running.data_dir / "journal.db").write_bytes(b"this is no database" * 1000)
    for command in (["store", "verify"], ["prices", "unpriced"]):
        assert_one_clear_line(
            tokenwatcher(*command, "--data-dir", str(running.data_dir)), "journal.db"
        )


def test_a_rebuild_beside_a_running_server_says_to_stop_it_first(new_instance: Any) -> None:
    running = new_instance()
    before = digest(running.data_dir)["events.duckdb"]
    done = tokenwatcher("store", "rebuild", "--data-dir", str(running.data_dir))
    assert_one_clear_line(done, "stop it first")
    assert digest(running.data_dir)["events.duckdb"] == before
    with running.client() as client:
        assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DASHBOARD_AUTH_ENABLED", "maybe"),
        ("ROLLUPS_ENABLED", "maybe"),
        ("INGEST_MAX_BATCH_SIZE", "0"),
        ("DASHBOARD_SESSION_SECRET", "change_me"),
        ("DASHBOARD_PASSWORD", "admin"),
    ],
)
def test_a_dangerous_or_senseless_setting_is_named(
    tmp_path: Path, variable: str, value: str
) -> None:
    done = serve(tmp_path / "data", **{variable: value})
    assert_one_clear_line(done, variable)
    assert value not in done.stderr.replace(variable, "") or len(value) < 4


def test_listening_beyond_this_machine_without_sign_in_is_refused(tmp_path: Path) -> None:
    done = serve(tmp_path / "data", DASHBOARD_AUTH_ENABLED="false", TOKENWATCHER_HOST="0.0.0.0")
    assert_one_clear_line(done, "DASHBOARD_AUTH_ENABLED")

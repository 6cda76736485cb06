"""Events move to ClickHouse and back, with every number, price and key; copies of them restore."""

from pathlib import Path
from typing import Any

from server.tests.backup.test_backup import EVENT, UNPRICED, cli, overview, sent
from server.tests.backup.test_move import seen
from server.tests.clickhouse_server import ClickHouse
from server.tests.conftest import Instance


def test_events_move_to_clickhouse_and_back(
    new_instance: Any, clickhouse: ClickHouse, postgres: Any, tmp_path: Path
) -> None:
    instance = new_instance()
    sent(instance, *[EVENT] * 40, UNPRICED)
    instance.command("prices", "set", "acme", "roadrunner-*", "--input", "1", "--output", "2")
    instance.command("prices", "apply", "--from", "2020-01-01", "--to", "2100-01-01")
    sent(instance, *[EVENT | {"tags": {"team": "search"}}] * 10)
    expected, key = overview(instance), instance.key("--kind", "read")
    assert instance.stop() == 0

    url, events = postgres.new_database(), clickhouse.new_database()
    there = ("--from", instance.data_dir, "--to", url, "--events-to", events)
    done = cli("migrate-store", *there)
    assert done.exit_code == 0, done.output
    assert "51 events" in done.stdout
    assert "EVENTS_URL to its events' place" in done.stderr
    assert events not in done.output
    secret = (instance.data_dir / "session.secret").read_text()
    settings = {"DATABASE_URL": url, "EVENTS_URL": events, "DASHBOARD_SESSION_SECRET": secret}
    running = Instance(tmp_path / "there", **settings)
    assert seen(running, key) == expected
    assert running.cli("store", "verify")["sound"]
    assert running.stop() == 0

    back = tmp_path / "back"
    done = cli("migrate-store", "--from", url, "--events-from", events, "--to", back)
    assert done.exit_code == 0, done.output
    again = Instance(back)
    assert seen(again, key) == expected
    assert again.cli("store", "verify")["sound"]
    again.kill()


def test_a_backup_of_events_in_clickhouse_proves_itself_and_restores(
    new_instance: Any, clickhouse: ClickHouse, tmp_path: Path
) -> None:
    instance = new_instance(EVENTS_URL=clickhouse.new_database())
    sent(instance, *[EVENT] * 30, UNPRICED)
    key, expected = instance.key("--kind", "read"), overview(instance)
    copy = tmp_path / "copy"
    instance.command("backup", str(copy))
    assert cli("backup", "verify", copy).exit_code == 0
    assert cli("restore", copy, "--into", tmp_path / "restored").exit_code == 0
    restored = Instance(tmp_path / "restored")
    assert seen(restored, key) == expected
    restored.kill()

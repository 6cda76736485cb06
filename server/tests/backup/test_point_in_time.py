"""PostgreSQL's own recovery brings the instance back as it was at a moment, whole."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.tests.backup.test_backup import EVENT, overview, sent
from server.tests.conftest import SECRET, Instance
from server.tests.postgres_server import Postgres


@pytest.fixture
def archiving() -> Iterator[Postgres]:
    """A server that keeps every piece of its log, as docs/postgresql.md has it."""
    server = Postgres(archive_mode="on", wal_level="replica", archive_timeout="1s")
    archive = server.new_folder("archive")
    server.sql(f"alter system set archive_command = 'cp %p {archive}/%f'")
    server.sql("select pg_reload_conf()")
    yield server
    server.close()


def test_the_instance_is_as_it_was_at_the_moment_that_was_asked_for(
    archiving: Postgres, tmp_path: Path
) -> None:
    url = archiving.new_database()
    instance = Instance(tmp_path / "data", DATABASE_URL=url, DASHBOARD_SESSION_SECRET=SECRET)
    sent(instance, *[EVENT] * 10)
    base = archiving.new_folder("base")
    archiving.run("pg_basebackup", "-d", archiving.url(), "-D", base, "-X", "fetch", "-c", "fast")
    sent(instance, *[EVENT] * 20)
    expected = overview(instance)
    archiving.sql("select pg_create_restore_point('before the accident')")
    sent(instance, *[EVENT] * 40)
    assert overview(instance)["callCount"] == 70
    instance.kill()
    archive_everything(archiving)

    recover(archiving, base)
    again = Instance(tmp_path / "again", DATABASE_URL=url, DASHBOARD_SESSION_SECRET=SECRET)
    assert overview(again) == expected
    assert again.cli("store", "verify")["events"] == 30
    again.kill()


def archive_everything(postgres: Postgres) -> None:
    last = postgres.sql("select pg_walfile_name(pg_switch_wal())").strip()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if postgres.sql("select last_archived_wal from pg_stat_archiver").strip() >= last:
            return
        time.sleep(0.1)
    raise AssertionError("the log was not archived")


def recover(postgres: Postgres, base: Path) -> None:
    """Put the copy in the place of the server's folder, and start it with the log up to the mark."""
    postgres.stop()
    archive = base.with_name("archive")
    shutil.rmtree(postgres.data)
    base.rename(postgres.data)
    with (postgres.data / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"restore_command = 'cp {archive}/%f %p'\n"
            "recovery_target_name = 'before the accident'\n"
            "recovery_target_action = 'promote'\n"
        )
    signal = postgres.data / "recovery.signal"
    signal.touch()
    postgres.for_it(signal)
    postgres.start()
    deadline = time.monotonic() + 20
    while postgres.sql("select pg_is_in_recovery()").strip() == "t":
        assert time.monotonic() < deadline
        time.sleep(0.1)

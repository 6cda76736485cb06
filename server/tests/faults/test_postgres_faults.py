"""PostgreSQL that is restarted, cut off, frozen or full: 503s meanwhile, nothing lost or doubled, no mending."""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.conftest import SECRET
from server.tests.faults.persistent import Persistent, during, send_all
from server.tests.faults.senders import stored_ids, totals
from server.tests.faults.small_disk import fill, mount_small_disk
from server.tests.postgres_server import Postgres


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that a test may harm."""
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def disk_for_all() -> Iterator[Path]:
    """A small file system where the user that the database runs as can reach it."""
    with tempfile.TemporaryDirectory(prefix="tokenwatcher-disk-") as made:
        Path(made).chmod(0o755)
        folder = Path(made) / "disk"
        folder.mkdir()
        mount_small_disk(folder)
        folder.chmod(0o755)
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)


def start(new_instance: Any, postgres: Postgres) -> Any:
    return new_instance(DATABASE_URL=postgres.new_database(), DASHBOARD_SESSION_SECRET=SECRET)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("harm", ["restart", "cut_connections"])
def test_a_database_that_goes_and_comes_back_loses_and_doubles_nothing(
    own_postgres: Postgres, new_instance: Any, harm: str
) -> None:
    instance = start(new_instance, own_postgres)
    key, reader = instance.key(), instance.key("--kind", "read")
    harming = during(getattr(own_postgres, harm), 8)
    events, tokens, _ = send_all(lambda: instance.client(key), 200, senders=4)
    while harming.is_alive():
        more, of_them, _ = send_all(lambda: instance.client(key), 40, senders=4)
        events, tokens = events + more, tokens + of_them
    harming.join()
    with instance.client(reader) as client:
        assert totals(client) == (events, tokens)
    assert instance.cli("store", "verify")["sound"] is True


def test_while_the_database_is_away_senders_are_told_to_come_back_and_then_it_goes_on(
    own_postgres: Postgres, new_instance: Any
) -> None:
    instance = start(new_instance, own_postgres)
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}
    key, reader = instance.key(), instance.key("--kind", "read")
    with instance.client(key) as sending, instance.client(reader) as reading:
        assert sending.post("/api/ingest", json=event).status_code == 200
        own_postgres.stop()
        refused = sending.post("/api/ingest", json=event)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"]
        assert reading.get("/api/stats").status_code == 503
        assert reading.get("/healthz").status_code == 200
        assert reading.get("/readyz").status_code == 503
        own_postgres.start()
        assert sending.post("/api/ingest", json=event).status_code == 200
        assert reading.get("/readyz").status_code == 200
        assert totals(reading) == (2, 2)
    assert own_postgres.url() not in instance.log


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_frozen_database_is_told_of_in_time_and_loses_and_doubles_nothing(
    own_postgres: Postgres, new_instance: Any
) -> None:
    instance = start(new_instance, own_postgres)
    key, reader = instance.key(), instance.key("--kind", "read")
    assert send_all(lambda: instance.client(key), 8)[2] == 0
    senders = Persistent(lambda: patient(instance.client(key)))
    time.sleep(1)
    own_postgres.freeze()
    threading.Timer(20, own_postgres.thaw).start()
    while own_postgres.is_frozen:
        with patient(instance.client(reader)) as reading:
            assert reading.get("/healthz").status_code == 200
            for path in ("/api/stats", "/api/events", "/readyz"):
                answer = reading.get(path)
                if own_postgres.is_frozen:  # still, so it was for all that time
                    assert answer.status_code == 503, path
                    assert answer.json()["code"] == "UNAVAILABLE"
    senders.stop()
    assert senders.refused
    with instance.client(reader) as reading:
        assert reading.get("/readyz").status_code == 200
        assert totals(reading)[0] == 800 + len(senders.acknowledged)
        ids = stored_ids(reading)
    assert len(ids) == len(set(ids)) == 800 + len(senders.acknowledged)
    assert set(senders.acknowledged) < set(ids)
    assert instance.cli("store", "verify")["sound"] is True


@pytest.mark.slow
def test_a_server_stops_though_its_database_is_frozen(
    own_postgres: Postgres, new_instance: Any
) -> None:
    instance = start(new_instance, own_postgres)
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}
    with instance.client(instance.key()) as sending:
        assert sending.post("/api/ingest", json=event).status_code == 200
    own_postgres.freeze()
    instance.signal(signal.SIGTERM)
    instance.process.communicate(timeout=30)
    assert instance.process.returncode == 0


def patient(client: httpx.Client) -> httpx.Client:
    """One that waits for this long, and no longer, as all that wait do."""
    client.timeout = httpx.Timeout(20)
    return client


@pytest.mark.slow
def test_a_full_disk_of_the_database_refuses_and_recovers(
    disk_for_all: Path, new_instance: Any
) -> None:
    postgres = Postgres(disk_for_all, min_wal_size="32MB", max_wal_size="48MB", wal_recycle="off")
    try:
        instance = start(new_instance, postgres)
        key, reader = instance.key(), instance.key("--kind", "read")
        assert send_all(lambda: instance.client(key), 8)[2] == 0
        ballast = disk_for_all / "ballast"
        fill(ballast)
        threading.Timer(3, ballast.unlink).start()
        events, _, refused = send_all(lambda: instance.client(key), 80)
        assert refused > 0
        with instance.client(reader) as client:
            calls, _ = totals(client)
            assert calls == 800 + events
        assert instance.cli("store", "verify")["sound"] is True
    finally:
        postgres.close()

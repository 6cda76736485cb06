"""ClickHouse that is restarted, cut off, full or frozen: 503s meanwhile, nothing lost or doubled, no mending."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.tests.clickhouse_server import ClickHouse
from server.tests.conftest import SECRET
from server.tests.faults.balancer import Balancer
from server.tests.faults.cutting import CuttingProxy
from server.tests.faults.persistent import during, send_all
from server.tests.faults.senders import batch, stored_ids, totals
from server.tests.faults.small_disk import fill
from server.tests.postgres_server import Postgres
from server.tests.redis_server import Redis
from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.stores.clickhouse.connection import Connection, address_of

EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}


@pytest.fixture
def own_clickhouse() -> Iterator[ClickHouse]:
    """One that a test may harm."""
    server = ClickHouse()
    yield server
    server.close()


def send_while(
    client: Callable[[], httpx.Client], harming: threading.Thread, batches: int = 40
) -> tuple[int, int, int]:
    """Send until harm is over and some time after; see `send_all`."""
    sums = [0, 0, 0]
    over = False
    while not over:
        over = not harming.is_alive()
        sums = [a + b for a, b in zip(sums, send_all(client, batches, senders=4), strict=True)]
    harming.join()
    events, tokens, refused = sums
    return events, tokens, refused


def check(instance: Any, reader: str, events: int, tokens: int) -> None:
    """What was acknowledged is there, once, and nothing else is."""
    with instance.client(reader) as client:
        assert totals(client) == (events, tokens)
        ids = stored_ids(client)
        assert len(ids) == len(set(ids)) == events
        assert client.get("/readyz").status_code == 200
    assert instance.cli("store", "verify")["sound"] is True


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_clickhouse_that_goes_and_comes_back_loses_and_doubles_nothing(
    own_clickhouse: ClickHouse, new_instance: Any, end: str
) -> None:
    instance = new_instance(EVENTS_URL=own_clickhouse.new_database())
    key, reader = instance.key(), instance.key("--kind", "read")
    times = []

    def restart() -> None:
        getattr(own_clickhouse, end)()
        own_clickhouse.start()
        times.append(1)

    events, tokens, _ = send_while(lambda: instance.client(key), during(restart, 9))
    assert len(times) >= 3
    check(instance, reader, events, tokens)


def test_while_clickhouse_is_away_senders_are_told_to_come_back_and_then_it_goes_on(
    own_clickhouse: ClickHouse, new_instance: Any
) -> None:
    instance = new_instance(EVENTS_URL=own_clickhouse.new_database())
    key, reader = instance.key(), instance.key("--kind", "read")
    with instance.client(key) as sending, instance.client(reader) as reading:
        assert sending.post("/api/ingest", json=EVENT).status_code == 200
        own_clickhouse.kill()
        refused = sending.post("/api/ingest", json=EVENT)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert refused.headers["Retry-After"]
        asked = reading.get("/api/stats")
        assert (asked.status_code, asked.json()["code"]) == (503, "UNAVAILABLE")
        assert asked.headers["Retry-After"]
        assert reading.get("/healthz").status_code == 200
        assert reading.get("/readyz").status_code == 503
        with pytest.raises(AssertionError, match="The store can't erase this now"):
            instance.cli("erase", "--user", "anna")
        own_clickhouse.start()
        assert sending.post("/api/ingest", json=EVENT).status_code == 200
        assert reading.get("/readyz").status_code == 200
        assert totals(reading) == (2, 2)
    assert "p%40ss" not in instance.log


@pytest.mark.slow
def test_connections_to_clickhouse_that_are_cut_lose_and_double_nothing(
    own_clickhouse: ClickHouse, new_instance: Any
) -> None:
    database = own_clickhouse.new_database().rpartition("/")[2]
    proxy = CuttingProxy(own_clickhouse.port)
    instance = new_instance(EVENTS_URL=own_clickhouse.url(database, proxy.port))
    key, reader = instance.key(), instance.key("--kind", "read")
    proxy.cut = 0.1
    events, tokens, refused = send_all(lambda: instance.client(key), 100, senders=4)
    statuses = set()
    with instance.client(reader) as client:
        for _ in range(40):
            answer = client.get("/api/query", params={"measures": "calls,inputTokens"})
            statuses.add(answer.status_code)
            if answer.status_code == 200:
                [row] = answer.json()["rows"]
                assert (int(row["calls"]), int(row["inputTokens"])) == (events, tokens)
    proxy.cut = 0.0
    assert statuses <= {200, 503}
    assert proxy.cuts["requests"] > 10
    assert proxy.cuts["answers"] > 10
    assert refused > 0
    check(instance, reader, events, tokens)
    proxy.close()


def test_an_answer_that_is_cut_anywhere_is_not_taken_for_none(clickhouse: ClickHouse) -> None:
    proxy = CuttingProxy(clickhouse.port)
    connection = Connection(address_of(clickhouse.url(port=proxy.port)), 5)
    for most in range(0, 160, 8):
        proxy.most_of_answers = most
        with pytest.raises(StoreUnavailable):
            connection.rows("select 'there'")
    proxy.most_of_answers = None
    assert connection.rows("select 'there'") == [("there",)]
    assert connection.rows("select 'not there' where false") == []
    connection.close()
    proxy.close()


@pytest.mark.slow
def test_a_full_disk_of_clickhouse_refuses_and_recovers(
    small_disk: Path, new_instance: Any
) -> None:
    clickhouse = ClickHouse(small_disk)
    try:
        instance = new_instance(EVENTS_URL=clickhouse.new_database())
        key, reader = instance.key(), instance.key("--kind", "read")
        events, tokens, refused = send_all(lambda: instance.client(key), 8)
        assert refused == 0
        ballast = small_disk / "ballast"
        fill(ballast)
        with instance.client(key) as sending, instance.client(reader) as reading:
            answer = sending.post("/api/ingest/batch", json={"events": batch(100)})
            assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
            assert answer.headers["Retry-After"]
            assert totals(reading) == (events, tokens)
            assert reading.get("/readyz").status_code == 503
        threading.Timer(3, ballast.unlink).start()
        more, of_them, refused = send_all(lambda: instance.client(key), 80)
        assert refused > 0
        check(instance, reader, events + more, tokens + of_them)
    finally:
        clickhouse.close()


@pytest.mark.slow
def test_a_frozen_clickhouse_is_given_up_on_and_goes_on_when_it_thaws(
    own_clickhouse: ClickHouse, new_instance: Any
) -> None:
    instance = new_instance(EVENTS_URL=own_clickhouse.new_database(), QUERY_TIMEOUT_MS="1000")
    key, reader = instance.key(), instance.key("--kind", "read")
    event = EVENT | {"id": "sent-twice"}
    with instance.client(key) as sending, instance.client(reader) as reading:
        assert sending.post("/api/ingest", json=EVENT).status_code == 200
        own_clickhouse.freeze()
        with ThreadPoolExecutor(3) as threads:
            sent = threads.submit(sending.post, "/api/ingest", json=event)
            asked = threads.submit(reading.get, "/api/stats")
            ready = threads.submit(reading.get, "/readyz")
            for refused in (sent.result(), asked.result()):
                assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
                assert refused.headers["Retry-After"]
            assert ready.result().status_code == 503
            assert reading.get("/healthz").status_code == 200
        own_clickhouse.thaw()
        assert sending.post("/api/ingest", json=event).status_code == 200
        assert totals(reading) == (2, 2)


@pytest.mark.slow
def test_a_clickhouse_that_freezes_under_load_loses_and_doubles_nothing(
    own_clickhouse: ClickHouse, new_instance: Any
) -> None:
    instance = new_instance(EVENTS_URL=own_clickhouse.new_database())
    key, reader = instance.key(), instance.key("--kind", "read")

    def freeze() -> None:
        own_clickhouse.freeze()
        time.sleep(1.5)
        own_clickhouse.thaw()

    events, tokens, _ = send_while(lambda: instance.client(key), during(freeze, 6))
    check(instance, reader, events, tokens)


@pytest.mark.slow
def test_redis_that_goes_and_comes_back_costs_nothing_on_clickhouse(
    clickhouse: ClickHouse, redis: Redis, new_instance: Any
) -> None:
    instance = new_instance(EVENTS_URL=clickhouse.new_database(), REDIS_URL=redis.url)
    key, reader = instance.key(), instance.key("--kind", "read")

    def go_and_come() -> None:
        redis.stop()
        time.sleep(0.5)
        redis.start()

    events, tokens, refused = send_while(lambda: instance.client(key), during(go_and_come, 4))
    redis.stop()
    more, of_them, again = send_all(lambda: instance.client(key), 40, senders=4)
    assert refused == again == 0
    check(instance, reader, events + more, tokens + of_them)


@pytest.mark.slow
def test_events_sent_with_retries_to_two_servers_are_counted_once_each(
    clickhouse: ClickHouse, postgres: Postgres, new_instance: Any
) -> None:
    shared = {
        "DATABASE_URL": postgres.new_database(),
        "EVENTS_URL": clickhouse.new_database(),
        "DASHBOARD_SESSION_SECRET": SECRET,
    }
    pair = [new_instance(name, **shared) for name in ("one", "other")]
    balancer = Balancer([each.url for each in pair], cut=0.05)
    key, reader = pair[0].key(), pair[0].key("--kind", "read")

    def client() -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=balancer.url, headers=headers, timeout=30)

    events, tokens, _ = send_all(client, 96)
    assert events == 9_600
    for server in pair:
        check(server, reader, events, tokens)
    balancer.close()

"""A server on ClickHouse: what it is sent is shown once, and what can't be used is said."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.tests.clickhouse_server import free_port
from server.tests.conftest import SECRET
from server.tests.faults.senders import batch, totals
from server.tests.faults.test_refused_start import refusal


def test_events_sent_over_http_are_shown_from_clickhouse(
    new_instance: Any, clickhouse: Any
) -> None:
    instance = new_instance(EVENTS_URL=clickhouse.new_database())
    sent = [event | {"tags": {"feature": "chat"}} for event in batch(50)]
    with instance.client(instance.key()) as client:
        for _ in range(2):
            answer = client.post("/api/ingest/batch", json={"events": sent})
            assert answer.status_code == 200, answer.text
    with instance.client(instance.key("--kind", "read")) as client:
        stats = client.get("/api/stats?days=2&tagKey=feature").json()
        listed = client.get("/api/events?limit=7").json()
        assert client.get("/readyz").status_code == 200
        assert "tokenwatcher_store_events 50" in client.get("/metrics").text
    assert stats["overview"]["callCount"] == 50
    assert stats["overview"]["totalInputTokens"] == sum(event["inputTokens"] for event in sent)
    assert [tag["tagValue"] for tag in stats["tagBreakdown"]] == ["chat"]
    assert len(listed["events"]) == 7
    assert instance.cli("store", "verify")["sound"]
    assert not list(instance.data_dir.glob("journal.db"))


def test_two_servers_that_are_sent_the_same_at_the_same_time_count_it_once(
    new_instance: Any, clickhouse: Any, postgres: Any
) -> None:
    shared = {
        "DATABASE_URL": postgres.new_database(),
        "EVENTS_URL": clickhouse.new_database(),
        "DASHBOARD_SESSION_SECRET": SECRET,
    }
    servers = [new_instance(name, **shared) for name in ("one", "two")]
    key, reader = servers[0].key(), servers[0].key("--kind", "read")
    batches = [batch(20) for _ in range(10)]

    def send(instance: Any) -> None:
        with instance.client(key) as client:
            for events in batches:
                answer = client.post("/api/ingest/batch", json={"events": events})
                assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(4) as threads:
        for sent in [threads.submit(send, instance) for instance in servers * 2]:
            sent.result()
    expected = (200, sum(event["inputTokens"] for events in batches for event in events))
    for instance in servers:
        with instance.client(reader) as client:
            assert totals(client) == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("p%40ss", "wrong"), "refuses the user 'default' or its password"),
        (lambda url: url.rpartition("/")[0] + "/nowhere", "has no database 'nowhere'"),
        (lambda url: url.replace("default:", "nobody:"), "refuses the user 'nobody'"),
        (lambda url: f"{url}?cluster=c&tls=1", "knows no option 'tls'"),
    ],
)
def test_a_url_that_clickhouse_refuses_is_told_without_its_password(
    tmp_path: Path, clickhouse: Any, change: Any, said: str
) -> None:
    refused = refusal(tmp_path / "data", EVENTS_URL=change(clickhouse.url()))
    assert refused.startswith("Error: EVENTS_URL: ")
    assert said in refused
    assert "ss%3Aword" not in refused
    assert "ss:word" not in refused


def test_a_clickhouse_that_is_not_there_is_told_by_its_address(tmp_path: Path) -> None:
    port = free_port()
    refused = refusal(tmp_path / "data", EVENTS_URL=f"clickhouse://u:hunter2@127.0.0.1:{port}/d")
    assert refused.startswith(f"Error: EVENTS_URL: the ClickHouse server at 127.0.0.1:{port}")
    assert "hunter2" not in refused

"""`/api/stats` and `/api/query` over HTTP, and the pages' own manners."""

import csv
import io
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def writer(instance: Any) -> str:
    raw: str = instance.key()
    return raw


@pytest.fixture(scope="module")
def reader(instance: Any) -> Iterator[httpx.Client]:
    with instance.client(instance.key("--kind", "read")) as client:
        yield client


@pytest.fixture
def run(instance: Any, writer: str) -> str:
    """Marks three calls of the test's own: 0.45 + 0.225 dollars, and one that failed."""
    name = str(uuid.uuid4())
    call = {"provider": "openai", "model": "gpt-4o", "tags": {"feature": "chat", "run": name}}
    events = [
        call | {"inputTokens": 100_000, "outputTokens": 20_000, "latencyMs": 100},
        call | {"inputTokens": 50_000, "outputTokens": 10_000, "latencyMs": 300},
        call | {"eventType": "error", "errorType": "timeout", "tags": {"run": name}},
    ]
    with instance.client(writer) as client:
        answer = client.post("/api/ingest/batch", json={"events": events})
    assert answer.status_code == 200, answer.text
    return name


def test_stats_have_every_field_of_the_contract(reader: httpx.Client, run: str) -> None:
    found = reader.get("/api/stats", params={"tag.run": run, "tagKey": "feature"}).json()
    assert found.keys() >= {"overview", "today", "yesterday", "byModel", "dailyTrend",
                            "tagBreakdown", "meta"}  # fmt: skip
    assert found["overview"].keys() >= {
        "totalCostUsd", "totalInputTokens", "totalOutputTokens", "totalTokens", "avgLatencyMs",
        "callCount", "errorCount", "p50LatencyMs", "p95LatencyMs", "unpricedCount",
        "cacheReadTokens", "cacheSavingsUsd",
    }  # fmt: skip
    day = {"totalCostUsd", "totalTokens", "callCount", "errorCount"}
    assert found["today"].keys() >= day
    assert found["yesterday"].keys() >= day
    assert found["byModel"][0].keys() >= {
        "provider", "model", "totalCostUsd", "totalTokens", "inputTokens", "outputTokens",
        "callCount", "errorCount", "avgLatencyMs",
    }  # fmt: skip
    assert found["dailyTrend"][0].keys() >= {
        "date", "totalCost", "totalTokens", "callCount", "errorCount",
    }  # fmt: skip
    assert found["tagBreakdown"][0].keys() >= {"tagValue", "totalCost", "totalTokens", "callCount"}
    assert found["meta"]["dataSource"]


def test_what_was_acknowledged_is_counted_at_once_and_exactly(
    reader: httpx.Client, run: str
) -> None:
    found = reader.get("/api/stats", params={"tag.run": run, "tagKey": "feature", "days": 2}).json()
    overview = found["overview"]
    assert (overview["totalCostUsd"], overview["totalCostExact"]) == (0.675, "0.675")
    assert (overview["callCount"], overview["errorCount"], overview["unpricedCount"]) == (3, 1, 0)
    assert (overview["totalInputTokens"], overview["totalOutputTokens"]) == (150_000, 30_000)
    assert overview["avgLatencyMs"] == 200
    assert sum(day["callCount"] for day in found["dailyTrend"]) == 3
    values = {tag["tagValue"]: tag["callCount"] for tag in found["tagBreakdown"]}
    assert values == {"chat": 2, None: 1}


@pytest.mark.parametrize("path", ["/api/stats", "/api/query"])
def test_only_a_session_or_a_read_key_may_ask(instance: Any, writer: str, path: str) -> None:
    with instance.client() as nobody:
        assert nobody.get(path).status_code == 401
    with instance.client(writer) as sender:
        assert sender.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/api/stats", "/api/query"])
@pytest.mark.parametrize("value", ["no-such", "*", "%", "01a00000-0000-7000-8000-000000000001"])
def test_a_workspace_that_cant_be_seen_is_not_found(
    reader: httpx.Client, path: str, value: str
) -> None:
    answer = reader.get(path, params={"workspaceId": value})
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/stats", "/api/query"])
@pytest.mark.parametrize("value", ["*", "%", "01a00000-0000-7000-8000-000000000001"])
def test_a_project_that_cant_be_seen_shows_nothing(
    reader: httpx.Client, run: str, path: str, value: str
) -> None:
    answer = reader.get(path, params={"projectId": value, "tag.run": run, "measures": "calls"})
    if answer.status_code == 200:
        found = answer.json()
        calls = (
            found["overview"]["callCount"] if path == "/api/stats" else found["rows"][0]["calls"]
        )
        assert calls == 0
    else:
        assert answer.status_code == 404


def test_a_query_gives_the_same_rows_as_parquet_with_exact_decimals(
    reader: httpx.Client, run: str, tmp_path: Path
) -> None:
    asked = {"measures": "cost,calls,latencyAvg", "groupBy": "model,environment", "interval": "day",
             "filter": f"tag.run:{run}"}  # fmt: skip
    rows = reader.get("/api/query", params=asked).json()["rows"]
    answer = reader.get("/api/query", params=asked | {"format": "parquet"})
    file = tmp_path / "usage.parquet"
    file.write_bytes(answer.content)
    with duckdb.connect() as connection:
        read = connection.execute(
            f"select cost, calls, model, environment from '{file}'"
        ).fetchall()
        types = connection.execute(f"select typeof(bucket), typeof(cost) from '{file}'").fetchone()
    assert types == ("TIMESTAMP", "DECIMAL(38,12)")
    assert sorted(str(row[0].normalize()) for row in read) == sorted(
        str(Decimal(row["costExact"])) for row in rows
    )
    assert {(row[2], row[3]) for row in read} == {(row["model"], "production") for row in rows}
    assert answer.headers["content-disposition"] == 'attachment; filename="usage.parquet"'


def test_usage_is_filtered_by_the_environment_of_its_project(
    reader: httpx.Client, run: str
) -> None:
    asked = {"measures": "calls", "filter": f"tag.run:{run}"}
    calls = reader.get("/api/query", params=asked).json()["rows"][0]["calls"]
    for environment, expected in (("production", calls), ("staging", 0)):
        rows = reader.get("/api/query", params=asked | {"environment": environment}).json()["rows"]
        assert rows[0]["calls"] == expected
        path = f"/api/events?tag.run={run}&environment={environment}&limit=100"
        assert len(reader.get(path).json()["events"]) == expected


@pytest.mark.parametrize(
    ("path", "parameters", "wrong"),
    [
        ("/api/stats", {"days": "0"}, "days"),
        ("/api/stats", {"days": "366"}, "days"),
        ("/api/stats", {"tz": "Nowhere"}, "tz"),
        ("/api/stats", {"from": "2026-13-01"}, "from"),
        ("/api/stats", {"model": ""}, "model"),
        ("/api/stats", {"tagKey": "a\0"}, "tagKey"),
        ("/api/query", {"measures": "spend"}, "measures"),
        ("/api/query", {"format": "arrow"}, "format"),
        ("/api/query", {"limit": "1000000000"}, "limit"),
    ],
)
def test_bad_input_is_named_by_its_parameter(
    reader: httpx.Client, path: str, parameters: dict[str, str], wrong: str
) -> None:
    answer = reader.get(path, params=parameters)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [issue["path"] for issue in answer.json()["issues"]] == [wrong]


def test_a_query_gives_rows_as_json_and_the_same_as_csv(reader: httpx.Client, run: str) -> None:
    asked = {"measures": "cost,calls,errors", "groupBy": "model,status", "filter": f"tag.run:{run}"}
    rows = reader.get("/api/query", params=asked).json()["rows"]
    assert {(row["status"], row["costExact"], row["calls"]) for row in rows} == {
        ("success", "0.675", 2),
        ("error", "0", 1),
    }
    answer = reader.get("/api/query", params=asked | {"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["status"], row["cost"]) for row in table] == [
        (row["status"], row["costExact"]) for row in rows
    ]


def test_answers_are_for_nobody_elses_cache(reader: httpx.Client) -> None:
    assert reader.get("/api/stats").headers["cache-control"] == "no-store"


def test_a_page_without_news_is_not_made_again(new_instance: Callable[..., Any]) -> None:
    running = new_instance(DASHBOARD_PASSWORD=PASSWORD)
    with running.client() as browser:
        redirect = browser.get("/?days=7")
        assert redirect.status_code == 303
        assert redirect.headers["location"] == "/login?next=/%3Fdays%3D7"
        gone = browser.get("/", headers={"hx-request": "true"})
        assert (gone.status_code, gone.headers["hx-redirect"]) == (401, "/login?next=/")
        credentials = {"username": "admin", "password": PASSWORD}
        assert browser.post("/api/auth/login", json=credentials).status_code == 200
        page = browser.get("/?days=7", headers={"hx-request-type": "partial"})
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert "<html" not in page.text
        has = {"hx-request-type": "partial", "if-none-match": page.headers["etag"]}
        same = browser.get("/?days=7", headers=has)
        if same.status_code == 200:  # a minute has just begun
            same = browser.get("/?days=7", headers=has | {"if-none-match": same.headers["etag"]})
        assert same.status_code == 304
        assert browser.get("/", headers=has).status_code == 200
        with running.client(running.key()) as sender:
            event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 5}
            assert sender.post("/api/ingest", json=event).status_code == 200
        assert browser.get("/?days=7", headers=has).status_code == 200

"""Ingest over real HTTP: what is acknowledged, what is refused, and in which words."""

import gzip
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

EVENT: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "inputTokens": 1000,
    "outputTokens": 100,
}


def event(**fields: Any) -> dict[str, Any]:
    return {**EVENT, "id": str(uuid.uuid4()), **fields}


@pytest.fixture(scope="module")
def key(instance: Any) -> str:
    raw: str = instance.key()
    return raw


@pytest.fixture(scope="module")
def reader(instance: Any) -> str:
    raw: str = instance.key("--kind", "read")
    return raw


@pytest.fixture
def client(instance: Any, key: str) -> Any:
    with instance.client(key) as opened:
        yield opened


def stored(instance: Any, reader: str, event_id: str) -> httpx.Response:
    with instance.client(reader) as reading:
        response: httpx.Response = reading.get(f"/api/events/{event_id}")
        return response


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["error"] == problem["detail"]
    assert problem["requestId"] == response.headers["x-request-id"]
    return problem


def test_an_acknowledged_event_is_there_and_priced(
    client: httpx.Client, instance: Any, reader: str
) -> None:
    sent = event(tags={"feature": "chat", "n": 2}, cacheReadTokens=400)
    response = client.post("/api/ingest", json=sent)
    assert response.status_code == 200
    receipt = response.json()
    assert receipt["success"] is True
    assert receipt["eventId"] == sent["id"]
    assert receipt["duplicate"] is False
    # gpt-4o-mini: $0.15 / $0.075 / $0.60 for a million tokens
    assert receipt["cost"]["totalCost"] == "0.00018"
    assert receipt["cost"]["priced"] is True
    answer = stored(instance, reader, sent["id"]).json()
    assert answer["event"]["inputTokens"] == 1000
    assert answer["event"]["cacheReadTokens"] == 400
    assert answer["event"]["tags"] == {"feature": "chat", "n": "2"}
    assert sum(line["amount"] for line in answer["explanation"]) == 180_000_000


def test_a_retry_is_acknowledged_and_counted_once(
    client: httpx.Client, instance: Any, reader: str
) -> None:
    sent = event(userId=uuid.uuid4().hex)
    answers = [client.post("/api/ingest", json=sent).json() for _ in range(10)]
    assert [answer["duplicate"] for answer in answers] == [False] + [True] * 9
    with instance.client(reader) as reading:
        listed = reading.get("/api/events", params={"userId": sent["userId"]}).json()
    assert len(listed["events"]) == 1


def test_an_id_with_other_content_is_a_conflict_and_changes_nothing(
    client: httpx.Client, instance: Any, reader: str
) -> None:
    sent = event()
    client.post("/api/ingest", json=sent)
    problem = assert_problem(
        client.post("/api/ingest", json={**sent, "inputTokens": 1}), 409, "EVENT_ID_CONFLICT"
    )
    assert problem["issues"][0]["path"] == "id"
    assert stored(instance, reader, sent["id"]).json()["event"]["inputTokens"] == 1000


def test_a_batch_says_what_was_new_and_what_was_not(client: httpx.Client) -> None:
    events = [event() for _ in range(5)]
    first = client.post("/api/ingest/batch", json={"events": events[:3]}).json()
    assert (first["count"], first["accepted"], first["duplicates"]) == (3, 3, 0)
    again = client.post("/api/ingest/batch", json={"events": events}).json()
    assert (again["count"], again["accepted"], again["duplicates"]) == (5, 2, 3)
    assert again["eventIds"] == [sent["id"] for sent in events]


@pytest.mark.parametrize("position", [0, 57, 99])
def test_one_bad_event_refuses_the_batch_and_none_is_stored(
    client: httpx.Client, instance: Any, reader: str, position: int
) -> None:
    events = [event() for _ in range(100)]
    events[position]["inputTokens"] = "12"
    problem = assert_problem(
        client.post("/api/ingest/batch", json={"events": events}), 400, "INVALID_INPUT"
    )
    assert [issue["path"] for issue in problem["issues"]] == [f"events[{position}].inputTokens"]
    for index in (0, 50, 99):
        assert stored(instance, reader, events[index]["id"]).status_code == 404


def test_a_batch_sent_ten_times_in_a_row_counts_once(client: httpx.Client) -> None:
    batch = {"events": [event() for _ in range(100)]}
    answers = [client.post("/api/ingest/batch", json=batch).json() for _ in range(10)]
    assert [answer["duplicates"] for answer in answers] == [0] + [100] * 9
    assert {answer["accepted"] + answer["duplicates"] for answer in answers} == {100}


def test_a_batch_sent_fifty_times_at_once_counts_once(instance: Any) -> None:
    raw, tag = instance.key(), str(uuid.uuid4())
    events = [event(tags={"run": tag}) for _ in range(100)]

    def send(_: int) -> tuple[int, int]:
        with instance.client(raw) as client:
            answer = client.post("/api/ingest/batch", json={"events": events})
            return answer.status_code, answer.json()["duplicates"]

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(send, range(50)))
    assert {status for status, _ in answers} == {200}
    assert sorted(duplicates for _, duplicates in answers) == [0] + [100] * 49
    with instance.client(instance.key("--kind", "read")) as reader:
        stats = reader.get("/api/stats", params={"tag.run": tag}).json()
    assert stats["overview"]["callCount"] == 100
    assert stats["overview"]["totalCostExact"] == "0.021"


@pytest.mark.parametrize("path", ["/api/ingest", "/api/ingest/batch"])
def test_a_request_with_a_key_of_its_own_counts_once_however_often_it_comes(
    instance: Any, reader: str, path: str
) -> None:
    tag, named = uuid.uuid4().hex, {"Idempotency-Key": uuid.uuid4().hex}
    body: dict[str, Any] = {**EVENT, "tags": {"run": tag}}
    whole = {"events": [body, body]} if path.endswith("batch") else body
    raw = instance.key()

    def send(content: dict[str, Any]) -> httpx.Response:
        with instance.client(raw) as client:
            answer: httpx.Response = client.post(path, json=content, headers=named)
            return answer

    with ThreadPoolExecutor(20) as threads:
        answers = [answer.json() for answer in threads.map(send, [whole] * 20)]
    assert len({json.dumps(one.get("eventIds", one.get("eventId"))) for one in answers}) == 1
    assert sum(bool(one.get("duplicates", one.get("duplicate"))) for one in answers) == 19
    other = json.loads(json.dumps(whole).replace("1000", "1001"))
    problem = assert_problem(send(other), 409, "EVENT_ID_CONFLICT")
    assert [issue["path"] for issue in problem["issues"]] == ["Idempotency-Key"]
    with instance.client(reader) as reading:
        asked = {"measures": "calls", "tag.run": tag}
        [row] = reading.get("/api/query", params=asked).json()["rows"]
    assert row["calls"] == (2 if path.endswith("batch") else 1)


def test_an_event_keeps_the_id_that_it_has(client: httpx.Client) -> None:
    sent, named = event(), {"Idempotency-Key": "a key of no matter".replace(" ", "-")}
    assert client.post("/api/ingest", json=sent, headers=named).json()["eventId"] == sent["id"]


@pytest.mark.parametrize("given", [b"", b"x" * 201, b"a b", b"\xc3\xa9", b"a, a"])
def test_a_key_of_a_request_that_is_none_is_refused(client: httpx.Client, given: bytes) -> None:
    problem = assert_problem(
        client.post("/api/ingest", json=event(), headers={b"Idempotency-Key": given}),
        400,
        "INVALID_INPUT",
    )
    assert [issue["path"] for issue in problem["issues"]] == ["Idempotency-Key"]


def test_the_same_response_seen_by_two_instrumentations_counts_once(client: httpx.Client) -> None:
    answer_id = f"chatcmpl-{uuid.uuid4().hex}"
    first = client.post("/api/ingest", json=event(responseId=answer_id)).json()
    second = client.post("/api/ingest", json=event(responseId=answer_id)).json()
    other = client.post("/api/ingest", json=event(responseId=answer_id, outputTokens=101)).json()
    assert [first["duplicate"], second["duplicate"], other["duplicate"]] == [False, True, False]
    stubs = [client.post("/api/ingest", json=event(responseId="stub")).json() for _ in range(2)]
    assert [stub["duplicate"] for stub in stubs] == [False, False]


def test_a_client_decides_nothing_that_is_the_servers_to_decide(
    client: httpx.Client, instance: Any, reader: str
) -> None:
    wishes = {
        "workspaceId": "another", "receivedAt": "2020-01-01T00:00:00Z",
        "createdAt": "2020-01-01T00:00:00Z", "cost": {"totalCost": "0"}, "priced": False,
        "priceId": "mine", "pricing": {"rate": 0}, "currency": "EUR", "totalCostUsd": 0,
    }  # fmt: skip
    sent = event(**wishes)
    receipt = client.post("/api/ingest", json=sent).json()
    assert receipt["cost"]["totalCost"] == "0.00021"
    kept = stored(instance, reader, sent["id"]).json()["event"]
    for name in ("workspaceId", "receivedAt", "cost", "priced"):
        assert kept[name] != wishes[name], name
    assert not {"createdAt", "pricing", "currency"} & kept.keys()


def test_the_last_instant_of_a_day_counts_on_one_day(instance: Any, client: httpx.Client) -> None:
    tag = uuid.uuid4().hex
    for fraction in ("999999", "999999999"):
        instant = f"2026-10-31T23:59:59.{fraction}Z"
        sent = event(timestamp=instant, tags={"run": tag})
        assert client.post("/api/ingest", json=sent).status_code == 200
    asked = {"from": "2026-10-30", "to": "2026-11-02", "tag.run": tag}
    with instance.client(instance.key("--kind", "read")) as reading:
        for zone in ("UTC", "Europe/Berlin", "Pacific/Apia"):
            days = reading.get("/api/stats", params=asked | {"tz": zone}).json()["dailyTrend"]
            assert sum(day["callCount"] for day in days) == 2, zone


def test_names_are_told_apart_by_every_byte_of_them(
    client: httpx.Client, instance: Any, reader: str
) -> None:
    names = ["\u00e9", "e\u0301", "\u00c9", "İ", "i\u0307", "😀", "a b", "=1+1"]
    for model in names:
        sent = event(model=model, userId=model)
        client.post("/api/ingest", json=sent)
        kept = stored(instance, reader, sent["id"]).json()["event"]
        assert (kept["model"], kept["userId"]) == (model, model)
    asked = [("groupBy", "model"), ("measures", "calls"), *(("model", model) for model in names)]
    with instance.client(reader) as reading:
        rows = reading.get("/api/query", params=asked).json()["rows"]
    assert {row["model"] for row in rows} == set(names)


def test_an_unknown_model_is_stored_unpriced_never_as_nothing(client: httpx.Client) -> None:
    cost = client.post("/api/ingest", json=event(model="in-house-7b")).json()["cost"]
    assert cost["priced"] is False
    assert cost["totalCostUsd"] is None


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "bearer x",
        "Bearer  double",
        "Basic dXNlcjpwYXNz",
        "Bearer two words",
        "Bearer\tx",
        "Bearer tw_live_" + "a" * 49,
        "Bearer " + "x" * 8000,
        "Bearer é",
    ],
)
def test_without_a_valid_key_the_answer_is_always_the_same(
    instance: Any, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    with instance.client() as stranger:
        response = stranger.post("/api/ingest", json=event(), headers=headers)
    problem = assert_problem(response, 401, "UNAUTHENTICATED")
    assert problem["detail"] == "A valid API key is needed."
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_read_key_cant_write_and_an_ingest_key_cant_read(
    instance: Any, key: str, reader: str
) -> None:
    with instance.client(reader) as reading:
        assert_problem(reading.post("/api/ingest", json=event()), 403, "WRONG_KEY_KIND")
    with instance.client(key) as writing:
        assert writing.get("/api/events").status_code == 403
        assert writing.get("/api/stats").status_code == 403


def test_a_revoked_key_is_refused_on_the_next_request(instance: Any) -> None:
    created = instance.cli("keys", "create")
    with instance.client(created["rawKey"]) as revoked:
        assert revoked.post("/api/ingest", json=event()).status_code == 200
        instance.cli("keys", "revoke", created["id"])
        # another process revoked it: within a second, on the next request after that

        time.sleep(1.2)
        assert_problem(revoked.post("/api/ingest", json=event()), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=utf-16"],
)
def test_what_is_not_json_is_not_taken_for_it(client: httpx.Client, content_type: str) -> None:
    response = client.post(
        "/api/ingest", content=json.dumps(event()), headers={"Content-Type": content_type}
    )
    assert_problem(response, 415, "NOT_JSON")


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "compress"])
def test_an_unknown_content_coding_is_refused(client: httpx.Client, coding: str) -> None:
    response = client.post(
        "/api/ingest",
        content=json.dumps(event()),
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
    )
    assert_problem(response, 415, "UNSUPPORTED_ENCODING")


def test_a_compressed_body_is_read(client: httpx.Client) -> None:
    response = client.post(
        "/api/ingest",
        content=gzip.compress(json.dumps(event()).encode()),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert response.status_code == 200


def padded(size: int) -> bytes:
    """A good event whose body has exactly this many bytes."""
    body = json.dumps(event())[:-1] + ', "unknown": "'
    return (body + "x" * (size - len(body) - 2) + '"}').encode()


def chunks(body: bytes) -> Callable[[], Any]:
    def pieces() -> Any:
        for start in range(0, len(body), 64_000):
            yield body[start : start + 64_000]

    return pieces


def test_the_size_limit_is_exact_whether_the_length_is_told_or_not(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for size, status in ((999_999, 200), (1_000_000, 200), (1_000_001, 413)):
        body = padded(size)
        assert client.post("/api/ingest", content=body, headers=headers).status_code == status
        body = padded(size)
        chunked = client.post("/api/ingest", content=chunks(body)(), headers=headers)
        assert chunked.status_code == status


def test_a_sender_hears_when_a_body_left_unread_ends_the_connection(instance: Any) -> None:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer tw_live_unknown"}
    with instance.client(None) as client:
        long = client.post("/api/ingest", content=padded(500_000), headers=headers)
        assert_problem(long, 401, "UNAUTHENTICATED")
        assert long.headers["Connection"] == "close"
        in_chunks = client.post("/api/ingest", content=chunks(padded(500_000))(), headers=headers)
        assert in_chunks.headers["Connection"] == "close"


def test_a_bomb_is_refused_by_its_decompressed_size(client: httpx.Client) -> None:
    response = client.post(
        "/api/ingest/batch",
        content=gzip.compress(b"[" + b" " * 50_000_000),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert_problem(response, 413, "BODY_TOO_LARGE")


def test_too_many_events_are_refused_whole(client: httpx.Client) -> None:
    events = [event() for _ in range(1001)]
    response = client.post("/api/ingest/batch", json={"events": events})
    assert_problem(response, 413, "BATCH_TOO_LARGE")
    assert client.post("/api/ingest/batch", json={"events": events[:1000]}).status_code == 200


def test_a_project_of_another_workspace_is_refused_by_name(instance: Any) -> None:
    raw = instance.key("--workspace", "default")
    with instance.client(raw) as client:
        problem = assert_problem(
            client.post("/api/ingest", json=event(projectSlug="foreign")), 400, "INVALID_INPUT"
        )
    assert problem["issues"][0]["path"] == "projectSlug"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_ingest_takes_posts_alone(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/api/ingest")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in response.headers["allow"]


def test_every_answer_carries_the_security_headers(client: httpx.Client) -> None:
    for response in (
        client.post("/api/ingest", json=event()),
        client.post("/api/ingest", content=b"{"),
        client.get("/nowhere"),
        client.get("/healthz"),
        client.get("/api/stats"),
    ):
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert len(response.headers.get_list("x-request-id")) == 1
        assert response.headers["server"] == "tokenwatcher"


@pytest.mark.parametrize("given", ["a" * 65, "short", "with space", "<script>", "a;b=c-------"])
def test_a_strange_request_id_is_replaced(client: httpx.Client, given: str) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] != given
    kept = client.get("/healthz", headers={"X-Request-Id": "trace-12345678"})
    assert kept.headers["x-request-id"] == "trace-12345678"


def test_no_origin_may_send_unless_it_is_allowed(instance: Any) -> None:
    with instance.client() as browser:
        response = browser.options("/api/ingest", headers={"Origin": "https://evil.example"})
    assert_problem(response, 403, "ORIGIN_NOT_ALLOWED")
    assert "access-control-allow-origin" not in response.headers


FOREIGN_ORIGINS = [
    "https://evil.example",
    "null",
    "https://good.example.evil",
    "https://goodxexample",
    "http://good.example",
    "https://good.example.",
    "https://good.example:8443",
    "x" * 10_000,
]


def test_only_the_very_origin_is_let_in(new_instance: Any) -> None:
    running = new_instance(INGEST_ALLOWED_ORIGINS="https://good.example")
    allowed = {"Origin": "https://good.example"}
    with running.client(running.key()) as browser:
        good = browser.options("/api/ingest", headers=allowed)
        assert good.status_code == 204
        assert good.headers["access-control-allow-origin"] == "https://good.example"
        assert good.headers["vary"] == "Origin"
        refused = browser.post("/api/ingest", content=b"{", headers=allowed)
        assert refused.headers["access-control-allow-origin"] == "https://good.example"
        for origin in FOREIGN_ORIGINS:
            for response in (
                browser.options("/api/ingest", headers={"Origin": origin}),
                browser.post("/api/ingest", json=event(), headers={"Origin": origin}),
            ):
                assert "access-control-allow-origin" not in response.headers


def test_an_origin_of_any_kind_is_let_in_only_where_the_operator_says_so_and_is_warned(
    new_instance: Any,
) -> None:
    running = new_instance(INGEST_ALLOWED_ORIGINS="*")
    assert "pages of every site may send events" in running.log
    with running.client(running.key()) as browser:
        answer = browser.post(
            "/api/ingest", json=event(), headers={"Origin": "https://any.example"}
        )
        assert answer.headers["access-control-allow-origin"] == "https://any.example"
        assert "access-control-allow-credentials" not in answer.headers
        preflight = browser.options("/api/ingest", headers={"Origin": "https://any.example"})
        assert (preflight.status_code, preflight.content) == (204, b"")

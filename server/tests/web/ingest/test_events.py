"""Ingest over real HTTP: what is acknowledged, counted once, and in which words."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from server.tests.web.ingest.sending import EVENT, assert_problem, event, stored


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

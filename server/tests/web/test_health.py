"""Alive, ready, counted and described."""

from typing import Any

EVENT = {"provider": "openai", "model": "gpt-4o", "inputTokens": 1, "outputTokens": 1}


def test_the_server_says_that_it_lives_and_can_commit(instance: Any) -> None:
    with instance.client() as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/readyz").json() == {"status": "ready"}


def test_a_monitor_may_ask_without_wanting_a_body(instance: Any) -> None:
    with instance.client() as client:
        for path in ("/healthz", "/readyz"):
            answer = client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")


def test_a_schedule_of_an_older_deployment_is_answered_by_its_secret_alone(
    new_instance: Any,
) -> None:
    secret = "Tf8-wQ2_nB5xVmK9pL4rYc7dHh3jGz0s"
    running = new_instance(ROLLUP_REBUILD_SECRET=secret)
    statuses = []
    for bearer in (secret, secret[:-1], "é", running.key("--kind", "read"), running.key()):
        with running.client() as schedule:
            headers = {"Authorization": f"Bearer {bearer}".encode()}
            answer = schedule.post("/api/admin/rebuild-rollups", headers=headers)
            statuses.append(answer.status_code)
    assert statuses == [200, 401, 401, 403, 403]


def test_metrics_count_what_was_acknowledged_and_refused(instance: Any) -> None:
    with instance.client(instance.key()) as client:
        before = client.get("/metrics", headers={"Authorization": ""}).text
        client.post("/api/ingest", json={**EVENT, "unheardOf": 1})
        client.post("/api/ingest", json={**EVENT, "inputTokens": -1})
        after = client.get("/metrics", headers={"Authorization": ""}).text

    def value(text: str, name: str) -> float:
        found = [line for line in text.splitlines() if line.startswith(name + " ")]
        return float(found[0].split()[-1]) if found else 0.0

    for name in (
        'tokenwatcher_events_total{outcome="stored"}',
        'tokenwatcher_requests_refused_total{code="INVALID_INPUT"}',
        "tokenwatcher_unknown_fields_total",
    ):
        assert value(after, name) == value(before, name) + 1, name
    assert value(after, "tokenwatcher_store_events") > value(before, "tokenwatcher_store_events")


def test_metrics_are_for_this_machine_or_a_read_key(instance: Any) -> None:
    from_afar = {"X-Forwarded-For": "203.0.113.5"}
    with instance.client() as stranger:
        assert stranger.get("/metrics", headers=from_afar).status_code == 401
    with instance.client(instance.key("--kind", "read")) as reader:
        assert reader.get("/metrics", headers=from_afar).status_code == 200


def test_the_description_holds_the_ingest_routes_with_their_limits(instance: Any) -> None:
    with instance.client() as client:
        document = client.get("/openapi.json").json()
    event = document["components"]["schemas"]["WireEvent"]
    assert event["properties"]["inputTokens"]["anyOf"][0]["maximum"] == 50_000_000
    assert {"provider", "model"} == set(event["required"])
    assert document["paths"]["/api/ingest"]["post"]["security"] == [{"apiKey": []}]


def test_a_path_of_nothing_is_a_problem_for_programs_and_a_page_for_people(instance: Any) -> None:
    with instance.client() as client:
        program = client.get("/nowhere/<script>alert(1)</script>")
        person = client.get("/nowhere/<script>", headers={"Accept": "text/html"})
    assert program.json()["code"] == "NOT_FOUND"
    assert person.status_code == 404
    assert person.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in program.text + person.text


def test_a_person_finds_every_described_route_in_words_without_signing_in(instance: Any) -> None:
    with instance.client() as client:
        document = client.get("/openapi.json").json()
        page = client.get("/docs")
    assert page.status_code == 200
    for path, methods in document["paths"].items():
        for method in methods:
            assert f'id="{method}{path.translate(str.maketrans("/{}", "---"))}"' in page.text
    for field in ("inputTokens", "events[].tags", "groupBy", "tagBreakdown[]"):
        assert field in page.text, field
    assert "whole number, 0 to 50,000,000" in page.text


def test_the_description_names_what_a_question_may_be_asked_with(instance: Any) -> None:
    with instance.client(instance.key("--kind", "read")) as client:
        paths = client.get("/openapi.json").json()["paths"]
        for path in ("/api/stats", "/api/query", "/api/events"):
            names = [one["name"] for one in paths[path]["get"]["parameters"]]
            assert {"days", "from", "to", "tz", "projectId", "model", "without"} <= set(names)
            assert len(names) == len(set(names))
            defaults = {
                one["name"]: one["schema"]["default"]
                for one in paths[path]["get"]["parameters"]
                if "default" in one["schema"]
            }
            assert client.get(path, params=defaults).status_code == 200

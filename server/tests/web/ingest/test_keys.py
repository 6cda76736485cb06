"""Who may send, and for which project."""

import time
from typing import Any

import pytest

from server.tests.web.ingest.sending import assert_problem, event


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


def test_a_project_of_another_workspace_is_refused_by_name(instance: Any) -> None:
    raw = instance.key("--workspace", "default")
    with instance.client(raw) as client:
        problem = assert_problem(
            client.post("/api/ingest", json=event(projectSlug="foreign")), 400, "INVALID_INPUT"
        )
    assert problem["issues"][0]["path"] == "projectSlug"

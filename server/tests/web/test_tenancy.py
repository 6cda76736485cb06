"""Control data over HTTP: what is made, what is shown, and what others never see."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Browser = Callable[[], httpx.Client]
NOBODYS_ID = "01890000-0000-7000-8000-000000000000"


def make(browser: httpx.Client, things: str, **body: Any) -> dict[str, Any]:
    response = browser.post(f"/api/{things}", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def test_a_workspace_a_project_and_a_key_from_end_to_end(door: Any, signed_in: Browser) -> None:
    browser = signed_in()
    workspace = make(browser, "workspaces", name="Team One")["workspace"]
    project = make(browser, "projects", workspaceId=workspace["id"], name="Chat bot")["project"]
    assert (workspace["slug"], project["slug"], project["environment"]) == (
        "team-one",
        "chat-bot",
        "production",
    )
    made = make(browser, "api-keys", workspaceId=workspace["id"], projectId=project["id"])
    raw, key = made["rawKey"], made["apiKey"]
    assert raw.startswith(key["keyPrefix"])
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}
    with door.client(raw) as app:
        assert (
            app.post("/api/ingest", json={**event, "projectSlug": "elsewhere"}).status_code == 200
        )
    stats = browser.get("/api/stats", params={"projectId": project["id"]}).json()
    assert stats["overview"]["totalInputTokens"] == 5
    assert browser.delete(f"/api/projects/{project['id']}").status_code == 409
    renamed = browser.patch(f"/api/projects/{project['id']}", json={"environment": "staging"})
    assert renamed.json()["project"]["environment"] == "staging"
    assert browser.delete(f"/api/api-keys/{key['id']}").status_code == 204
    with door.client(raw) as app:
        assert app.post("/api/ingest", json=event).status_code == 401


def test_a_key_is_shown_once_and_never_again(door: Any, signed_in: Browser) -> None:
    browser = signed_in()
    [workspace, *_] = browser.get("/api/workspaces").json()["workspaces"]
    raw = make(browser, "api-keys", workspaceId=workspace["id"], name="shown once")["rawKey"]
    assert raw not in browser.get("/api/api-keys").text
    assert raw not in json.dumps(door.cli("keys", "list"))
    assert raw not in door.log


def test_a_read_key_sees_its_own_workspace_and_changes_nothing(
    door: Any, signed_in: Browser
) -> None:
    browser = signed_in()
    ours = make(browser, "workspaces", name="Ours")["workspace"]
    theirs = make(browser, "workspaces", name="Theirs")["workspace"]
    raw = make(browser, "api-keys", workspaceId=ours["id"], kind="read")["rawKey"]
    with door.client(raw) as reader:
        seen = reader.get("/api/workspaces").json()["workspaces"]
        assert [workspace["id"] for workspace in seen] == [ours["id"]]
        assert reader.get(f"/api/workspaces/{theirs['id']}").status_code == 404
        for path in ("/api/stats", "/api/events", "/api/query"):
            params = {"workspaceId": theirs["id"], "measures": "calls"}
            assert reader.get(path, params=params).status_code in {400, 404}, path
        assert reader.get("/api/stats").status_code == 200
        assert reader.post("/api/workspaces", json={"name": "x"}).status_code == 403
        assert reader.delete(f"/api/workspaces/{ours['id']}").status_code == 403


IDS = [NOBODYS_ID, "nonsense", "-1", str(2**64), "{}", NOBODYS_ID.upper(), "x" * 3000, "%00", "%ff"]


@pytest.mark.parametrize("things", ["workspaces", "projects", "api-keys", "events"])
def test_an_id_of_nobody_is_not_found_whatever_its_form(signed_in: Browser, things: str) -> None:
    browser = signed_in()
    for identifier in IDS:
        address = f"/api/{things}/{identifier}"
        assert browser.get(address).status_code in {404, 405}, address
        if things != "events":
            assert browser.patch(address, json={"name": "x"}).status_code == 404, address
            assert browser.delete(address).status_code == 404, address


def test_every_route_refuses_a_stranger(door: Any) -> None:
    """Walks the OpenAPI description: a new route can't forget its door."""
    open_to_all = {"/healthz", "/readyz", "/metrics", "/api/auth/login"}
    with door.client() as stranger:
        paths = stranger.get("/openapi.json").json()["paths"]
        for path, methods in paths.items():
            for method in methods.keys() & {"get", "post", "put", "patch", "delete"}:
                if path in open_to_all:
                    continue
                address = path.replace("{", "").replace("}", "")
                response = stranger.request(method.upper(), address, json={})
                assert response.status_code in {400, 401, 403}, (method, path, response.text)
                if response.status_code == 400:
                    assert response.json()["code"] in {"INVALID_INPUT", "MALFORMED_JSON"}
                assert "Traceback" not in response.text
    assert {"/api/ingest", "/api/ingest/batch", "/api/stats", "/api/events", "/api/query"} <= set(
        paths
    )


ODD_QUERIES = [
    "days=0",
    "days=abc",
    "days=" + "9" * 400,
    "from=yesterday",
    "tz=Nowhere/Else",
    "tz=../../etc/passwd",
    "workspaceId=%00",
    "provider=%ff%fe",
    "model=" + "x" * 2000,
    "limit=-1",
    "limit=99999999999999999999",
    "cursor=AAAA",
    "cursor=%00",
    "cursor=" + "A" * 5000,
    "tag.=x",
    "a[]=1&a[]=2&&&=",
]


@pytest.mark.parametrize("path", ["/api/stats", "/api/events", "/api/query", "/", "/events"])
def test_an_odd_question_is_answered_without_an_error(signed_in: Browser, path: str) -> None:
    browser = signed_in()
    for query in ODD_QUERIES:
        response = browser.get(f"{path}?{query}")
        assert response.status_code < 500, (query, response.text)
        assert "Traceback" not in response.text

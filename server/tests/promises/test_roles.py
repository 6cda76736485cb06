"""Who may do what, over HTTP: strangers, viewers of another workspace, and each role at home."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from tokenwatcher_server.web.routes import ROUTES

Browser = Callable[..., httpx.Client]
EVENT = {"provider": "openai", "model": "canary-model", "inputTokens": 5, "outputTokens": 1}
OPEN_TO_ALL = {"/healthz", "/readyz", "/metrics", "/api/auth/login", "/api/invitations/accept"}
DOORS = {"/login", "/sign-in/{token}", "/invitation/{token}", "/local/{operation}"}
"""Pages and routes that have a lock of their own: a password, a link, a token."""


class Foreign(msgspec.Struct, frozen=True):
    """A workspace that the one who looks doesn't belong to, full of canaries."""

    ids: dict[str, str]
    canaries: tuple[str, ...]


@pytest.fixture
def foreign(door: Any, signed_in: Browser, person: Browser) -> Foreign:
    owner = signed_in()
    workspace = made(owner, "workspaces", name="canary-workspace")["workspace"]
    within = {"workspaceId": workspace["id"]}
    project = made(owner, "projects", **within, name="canary-project")["project"]
    key = made(owner, "api-keys", **within, projectId=project["id"], name="canary-key")
    with door.client(key["rawKey"]) as app:
        tags = {"canary-tag": "canary-value"}
        event = app.post("/api/ingest", json={**EVENT, "tags": tags, "userId": "canary-user"})
    member = person("admin", workspace["slug"])
    ids = {
        "workspace_id": workspace["id"],
        "project_id": project["id"],
        "key_id": key["apiKey"]["id"],
        "event_id": event.json()["eventId"],
    }
    members = owner.get("/api/members", params=within).json()["members"]
    invitation = made(owner, "invitations", **within, note="canary-guest")["invitation"]
    [ids["user_id"]] = {one["userId"] for one in members if one["role"] == "admin"}
    ids["invitation_id"] = invitation["id"]
    member.close()
    return Foreign(ids, ("canary-", *ids.values(), key["apiKey"]["keyPrefix"]))


def made(browser: httpx.Client, things: str, **body: Any) -> dict[str, Any]:
    answer = browser.post(f"/api/{things}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def walk(browser: httpx.Client) -> Iterator[tuple[str, str, list[str]]]:
    """Every method and path of the description, with the names in the path."""
    for path, methods in browser.get("/openapi.json").json()["paths"].items():
        for method in sorted(methods.keys() & {"get", "post", "put", "patch", "delete"}):
            if path not in OPEN_TO_ALL and not path.startswith("/api/ingest"):
                yield method.upper(), path, re.findall(r"{(\w+)}", path)


def test_a_viewer_of_another_workspace_is_told_nothing_by_any_route(
    foreign: Foreign, person: Browser
) -> None:
    """Walks the OpenAPI description: a new route can't forget whose data it shows."""
    stranger = person("viewer")
    body = {"workspaceId": foreign.ids["workspace_id"], "projectId": foreign.ids["project_id"],
            "name": "x", "role": "viewer"}  # fmt: skip
    seen = 0
    for method, path, names in walk(stranger):
        if path.startswith("/api/auth/"):  # one's own account
            continue
        address = re.sub(r"{(\w+)}", lambda name: foreign.ids.get(name[1], name[1]), path)
        answer = stranger.request(method, address, json=None if method == "GET" else body)
        if names and method == "GET":
            assert answer.status_code == 404, (method, path, answer.text)
        elif method != "GET":
            assert answer.status_code in {400, 403, 404}, (method, path, answer.text)
        told = answer.text.replace(answer.headers["x-request-id"], "")
        assert not [one for one in foreign.canaries if one in told], (method, path)
        seen += 1
        if method == "GET" and not names:
            for field in ("workspace", "project"):
                asked = {f"{field}Id": foreign.ids[f"{field}_id"], "measures": "calls"}
                answer = stranger.get(address, params=asked)
                assert answer.status_code < 500
                assert not [one for one in foreign.canaries if one in answer.text], (path, field)
    assert seen >= 20


def test_a_viewer_of_another_workspace_sees_nothing_of_it_on_any_page(
    foreign: Foreign, person: Browser
) -> None:
    stranger, html = person("viewer"), {"Accept": "text/html"}
    for handler in pages("GET"):
        for path in handler.paths:
            address = re.sub(r"{(\w+):str}", lambda name: foreign.ids.get(name[1], name[1]), path)
            answer = stranger.get(address, headers=html)
            assert answer.status_code < 500, path
            told = answer.text.replace(address, "")
            assert not [one for one in foreign.canaries if one in told], path


def pages(method: str) -> list[HTTPRouteHandler]:
    """The routes that are in no description."""
    return [one for one in ROUTES if method in one.http_methods and not one.include_in_schema]


def test_every_page_and_route_that_changes_something_names_the_right_it_takes() -> None:
    for handler in ROUTES:
        paths = {re.sub(r":str}", "}", path) for path in handler.paths}
        if "GET" not in handler.http_methods and not paths & (DOORS | OPEN_TO_ALL):
            assert "right" in handler.opt, paths


def test_no_form_changes_anything_for_a_viewer(signed_in: Browser, person: Browser) -> None:
    """Walks every route that only pages use."""
    viewer, owner = person("viewer"), signed_in()
    [workspace, *_] = viewer.get("/api/workspaces").json()["workspaces"]
    [project, *_] = viewer.get("/api/projects").json()["projects"]
    before = [owner.get(f"/api/{things}").json() for things in ("workspaces", "projects")]
    form = {"csrf_token": viewer.headers["X-CSRF-Token"], "name": "x", "role": "owner",
            "scope": f"{workspace['id']}/", "workspaceId": workspace["id"]}  # fmt: skip
    ids = {"workspace_id": workspace["id"], "project_id": project["id"]}
    for handler in pages("POST"):
        for path in handler.paths:
            if handler.opt.get("right") in {None, "account.change"}:
                continue
            address = re.sub(r"{(\w+):str}", lambda name: ids.get(name[1], "x"), path)
            answer = viewer.post(address, data=form)
            assert answer.status_code in {400, 403, 404}, (path, answer.text)
    assert [owner.get(f"/api/{things}").json() for things in ("workspaces", "projects")] == before


CAN = {
    # what is done: who may, at the least
    "export": "member",
    "make a key": "member",
    "make a project": "member",
    "rename the workspace": "admin",
    "remove the workspace": "owner",
    "make a workspace": "instance",
}
ROLES = ("owner", "admin", "member", "viewer")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_table_says_and_no_more(
    signed_in: Browser, person: Browser, role: str
) -> None:
    workspace = made(signed_in(), "workspaces", name=f"Home of {role}")["workspace"]
    browser, within = person(role, workspace["slug"]), {"workspaceId": workspace["id"]}
    export = {"measures": "cost", "format": "csv"}
    answers = {
        "see usage": browser.get("/api/stats"),
        "export": browser.get("/api/query", params=export),
        "make a key": browser.post("/api/api-keys", json=within),
        "make a project": browser.post("/api/projects", json={**within, "name": "New"}),
        "rename the workspace": browser.patch(
            f"/api/workspaces/{workspace['id']}", json={"name": "Renamed"}
        ),
        "make a workspace": browser.post("/api/workspaces", json={"name": "Another"}),
        "remove the workspace": browser.delete(f"/api/workspaces/{workspace['id']}"),
    }
    assert answers.pop("see usage").status_code == 200
    for what, answer in answers.items():
        may = CAN[what] in ROLES[ROLES.index(role) :]
        assert (answer.status_code != 403) is may, (what, answer.text)
        if not may:
            assert answer.json()["code"] == "ROLE_TOO_LOW"


def test_who_belongs_nowhere_sees_nothing_and_no_error(
    door: Any, signed_in: Browser, person: Browser
) -> None:
    owner = signed_in()
    workspace = made(owner, "workspaces", name="Left")["workspace"]
    nobody = person("viewer", workspace["slug"])
    name = re.findall(r"viewer-\d+", nobody.get("/", headers={"Accept": "text/html"}).text)[0]
    door.command("users", "remove", name, "--workspace", workspace["slug"])
    with door.client(door.key()) as app:
        assert app.post("/api/ingest", json={**EVENT, "model": "gpt-4o"}).status_code == 200
    assert nobody.get("/api/stats").json()["overview"]["callCount"] == 0
    assert nobody.get("/api/events").json()["events"] == []
    assert nobody.get("/api/workspaces").json()["workspaces"] == []
    for page in ("/", "/keys", "/projects", "/start", "/explore?measures=cost", "/users"):
        assert nobody.get(page, headers={"Accept": "text/html"}).status_code == 200, page
    assert "You belong to no workspace yet" in nobody.get("/start").text


def test_a_change_of_role_holds_from_the_next_request_on(
    door: Any, signed_in: Browser, person: Browser
) -> None:
    workspace = made(signed_in(), "workspaces", name="Demoted")["workspace"]
    browser, within = person("member", workspace["slug"]), {"workspaceId": workspace["id"]}
    assert browser.post("/api/api-keys", json=within).status_code == 201
    name = re.findall(r"member-\d+", browser.get("/", headers={"Accept": "text/html"}).text)[0]
    door.command("users", "set-role", name, "viewer", "--workspace", workspace["slug"])
    assert browser.post("/api/api-keys", json=within).status_code == 403

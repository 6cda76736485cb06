"""What people and commands change is written down, once, for those who may read it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Browser = Callable[..., httpx.Client]


def entries(browser: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    answer = browser.get("/api/audit-log", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def made(browser: httpx.Client, things: str, **body: Any) -> dict[str, Any]:
    answer = browser.post(f"/api/{things}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_every_change_of_control_data_leaves_exactly_one_entry(signed_in: Browser) -> None:
    browser = signed_in()
    workspace = made(browser, "workspaces", name="Audited")["workspace"]
    within = {"workspaceId": workspace["id"]}
    project = made(browser, "projects", **within, name="Bot")["project"]
    browser.patch(f"/api/projects/{project['id']}", json={"environment": "staging"})
    browser.patch(f"/api/workspaces/{workspace['id']}", json={"name": "Renamed"})
    browser.delete(f"/api/projects/{project['id']}")
    browser.delete(f"/api/workspaces/{workspace['id']}")
    found = [one for one in entries(browser, limit=500) if one["workspaceId"] == workspace["id"]]
    assert [(one["action"], one["objectName"]) for one in reversed(found)] == [
        ("workspace.create", "Audited"),
        ("project.create", "Bot"),
        ("project.change", "Bot"),
        ("workspace.change", "Audited"),
        ("project.remove", "Bot"),
        ("workspace.remove", "Renamed"),
    ]
    change = found[3]
    assert change["actor"]["name"] == "admin"
    assert change["actor"]["kind"] == "user"
    assert change["address"].startswith("198.51.")
    assert len(change["requestId"]) >= 8
    assert change["before"]["environment"] == "production"
    assert change["after"]["environment"] == "staging"


def test_a_refused_change_leaves_no_entry(signed_in: Browser, person: Browser) -> None:
    owner, viewer = signed_in(), person("viewer")
    [workspace, *_] = viewer.get("/api/workspaces").json()["workspaces"]
    before = len(entries(owner, objectKind="workspace", limit=500))
    answer = viewer.patch(f"/api/workspaces/{workspace['id']}", json={"name": "Mine"})
    assert answer.status_code == 403
    assert len(entries(owner, objectKind="workspace", limit=500)) == before


def test_signing_in_out_and_being_refused_are_written_without_the_password(
    visitor: Browser, signed_in: Browser
) -> None:
    browser = visitor()
    typed = {"username": "canary-typed-password", "password": "canary-password"}
    assert browser.post("/api/auth/login", json=typed).status_code == 401
    leaving = signed_in()
    assert leaving.post("/api/auth/logout").status_code == 200
    found = signed_in().get("/api/audit-log", params={"objectKind": "session", "limit": 20})
    assert {"session.begin", "session.end", "session.refuse"} <= {
        one["action"] for one in found.json()["entries"]
    }
    assert "canary" not in found.text


def test_what_a_command_changes_is_written_with_who_ran_it(door: Any, signed_in: Browser) -> None:
    door.command("users", "create", "zoe", given="correct horse battery staple")
    found = entries(signed_in(), limit=10)
    made_zoe = [one for one in found if one["objectName"] == "zoe"]
    assert {one["action"] for one in made_zoe} == {"user.create", "member.add"}
    assert {one["actor"]["kind"] for one in made_zoe} == {"command"}


def test_an_admin_reads_their_workspace_alone_and_a_member_nothing(
    signed_in: Browser, person: Browser
) -> None:
    owner = signed_in()
    ours = made(owner, "workspaces", name="Ours, audited")["workspace"]
    theirs = made(owner, "workspaces", name="Theirs, audited")["workspace"]
    admin = person("admin", ours["slug"])
    found = entries(admin, limit=500)
    assert {one["workspaceId"] for one in found} == {ours["id"]}
    assert "session.begin" not in {one["action"] for one in found}
    asked = {"workspaceId": theirs["id"]}
    assert admin.get("/api/audit-log", params=asked).status_code == 404
    assert admin.get("/audit-log", params=asked).status_code == 404
    member = person("member", ours["slug"])
    assert member.get("/api/audit-log").status_code == 403
    assert member.get("/audit-log").status_code == 403
    assert "/audit-log" not in member.get("/", headers={"Accept": "text/html"}).text


def test_pages_of_the_log_follow_on_each_other_without_a_gap(signed_in: Browser) -> None:
    browser = signed_in()
    for number in range(5):
        made(browser, "workspaces", name=f"Paged {number}")
    whole = entries(browser, objectKind="workspace", limit=7)
    paged: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"objectKind": "workspace", "limit": 3}
    while len(paged) < 7:
        answer = browser.get("/api/audit-log", params=asked).json()
        paged += answer["entries"]
        if answer["nextCursor"] is None:
            break
        asked["cursor"] = answer["nextCursor"]
    assert paged[: len(whole)] == whole


@pytest.mark.parametrize(
    "asked", ["cursor=nonsense", "limit=0", "limit=9999", "days=0", "actor=" + "x" * 300]
)
def test_a_question_that_makes_no_sense_is_refused(signed_in: Browser, asked: str) -> None:
    assert signed_in().get(f"/api/audit-log?{asked}").status_code == 400


def test_the_page_shows_changes_filters_them_and_escapes_names(signed_in: Browser) -> None:
    browser = signed_in()
    made(browser, "workspaces", name="<script>alert(1)</script>")
    page = browser.get("/audit-log", params={"objectKind": "workspace", "actor": "admin"}).text
    assert "made the workspace" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "signed in" not in page
    assert "Nothing in this period" in browser.get("/audit-log?actor=nobody").text

"""Members and invitations: who may let in whom, links that work once, the last owner who stays."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

Browser = Callable[..., httpx.Client]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def home(signed_in: Browser) -> dict[str, Any]:
    """A workspace of the test's own, which the admin of the instance owns."""
    answer = signed_in().post("/api/workspaces", json={"name": "Home"})
    workspace: dict[str, Any] = answer.json()["workspace"]
    return workspace


def invite(browser: httpx.Client, home: dict[str, Any], role: str = "member") -> httpx.Response:
    body = {"workspaceId": home["id"], "role": role, "note": "Kim"}
    return browser.post("/api/invitations", json=body)


def token_of(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    link: str = answer.json()["link"]
    return link.rsplit("/", 1)[1]


def accept(browser: httpx.Client, token: str, username: str, password: str = PASSWORD) -> Any:
    body = {"token": token, "username": username, "password": password}
    return browser.post("/api/invitations/accept", json=body)


def members(browser: httpx.Client, home: dict[str, Any]) -> dict[str, str]:
    answer = browser.get("/api/members", params={"workspaceId": home["id"]})
    assert answer.status_code == 200, answer.text
    return {one["username"]: one["role"] for one in answer.json()["members"]}


def id_of(browser: httpx.Client, home: dict[str, Any], username: str) -> str:
    found = browser.get("/api/members", params={"workspaceId": home["id"]}).json()["members"]
    [member] = [one for one in found if one["username"] == username]
    identifier: str = member["userId"]
    return identifier


def test_an_invitation_lets_one_person_in_once(
    door: Any, signed_in: Browser, visitor: Browser, home: dict[str, Any]
) -> None:
    owner, guest = signed_in(), visitor()
    answer = invite(owner, home, "viewer")
    token = token_of(answer)
    assert "only time" in answer.json()["warning"]
    assert token not in owner.get("/api/invitations").text
    assert accept(guest, token, "kim").status_code == 200
    assert guest.get("/api/workspaces").json()["workspaces"] == [home]
    assert members(guest, home) == {"admin": "owner", "kim": "viewer"}
    again = accept(visitor(), token, "mallory")
    made_up = accept(visitor(), "x" * 43, "mallory")
    assert again.status_code == made_up.status_code == 404
    assert again.json()["detail"] == made_up.json()["detail"]
    for path in door.data_dir.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes()
    assert token not in door.log


def test_an_invitation_taken_by_two_at_once_lets_one_in(
    signed_in: Browser, visitor: Browser, home: dict[str, Any]
) -> None:
    token = token_of(invite(signed_in(), home))
    guests = [visitor() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: accept(guests[n], token, f"racer-{n}"), range(4)))
    assert sorted(one.status_code for one in answers) == [200, 404, 404, 404]
    assert len(members(signed_in(), home)) == 2


def test_an_invitation_that_is_taken_back_or_whose_maker_left_is_worth_nothing(
    signed_in: Browser, visitor: Browser, person: Browser, home: dict[str, Any]
) -> None:
    owner, admin = signed_in(), person("admin", home["slug"])
    theirs, ours = token_of(invite(admin, home)), token_of(invite(owner, home))
    [name] = set(members(owner, home)) - {"admin"}
    gone = f"/api/workspaces/{home['id']}/members/{id_of(owner, home, name)}"
    assert owner.delete(gone).status_code == 204
    assert accept(visitor(), theirs, "late-1").status_code == 404
    [open_one] = owner.get("/api/invitations", params={"workspaceId": home["id"]}).json()[
        "invitations"
    ]
    assert owner.delete(f"/api/invitations/{open_one['id']}").status_code == 204
    assert accept(visitor(), ours, "late-2").status_code == 404
    assert owner.delete(f"/api/invitations/{open_one['id']}").status_code == 404


def test_a_name_that_is_taken_or_a_weak_password_uses_no_link_up(
    signed_in: Browser, visitor: Browser, home: dict[str, Any]
) -> None:
    token, guest = token_of(invite(signed_in(), home)), visitor()
    assert accept(guest, token, "admin").status_code == 400
    assert accept(guest, token, "kai", "password").status_code == 400
    assert accept(guest, token, "kai").status_code == 200


def test_nobody_gives_or_takes_a_role_above_their_own(
    signed_in: Browser, person: Browser, home: dict[str, Any]
) -> None:
    owner, admin = signed_in(), person("admin", home["slug"])
    person("member", home["slug"])
    assert invite(admin, home, "owner").status_code == 403
    assert invite(admin, home, "admin").status_code == 201
    roles = members(owner, home)
    [member] = [name for name, role in roles.items() if role == "member"]
    place = f"/api/workspaces/{home['id']}/members"
    ours, theirs = id_of(owner, home, "admin"), id_of(owner, home, member)
    assert admin.patch(f"{place}/{theirs}", json={"role": "owner"}).status_code == 403
    assert admin.patch(f"{place}/{ours}", json={"role": "viewer"}).status_code == 403
    assert admin.delete(f"{place}/{ours}").status_code == 403
    assert admin.patch(f"{place}/{theirs}", json={"role": "viewer"}).status_code == 200
    assert members(owner, home)[member] == "viewer"


def test_the_last_owner_of_a_workspace_can_neither_go_nor_step_down(
    signed_in: Browser, person: Browser, home: dict[str, Any]
) -> None:
    owner = signed_in()
    own = f"/api/workspaces/{home['id']}/members/{id_of(owner, home, 'admin')}"
    assert owner.patch(own, json={"role": "admin"}).status_code == 409
    assert owner.delete(own).status_code == 409
    person("owner", home["slug"])
    assert owner.delete(own).status_code == 204
    assert "admin" not in members(owner, home)


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_who_does_not_run_the_workspace_invites_nobody_and_changes_nobody(
    signed_in: Browser, person: Browser, home: dict[str, Any], role: str
) -> None:
    browser = person(role, home["slug"])
    assert invite(browser, home, "viewer").status_code == 403
    assert browser.get("/api/invitations").status_code == 403
    own = f"/api/workspaces/{home['id']}/members/{id_of(signed_in(), home, 'admin')}"
    assert browser.delete(own).status_code == 403
    assert "Invite somebody" not in browser.get("/members").text


def test_each_step_is_in_the_audit_log_without_the_token(
    signed_in: Browser, visitor: Browser, home: dict[str, Any]
) -> None:
    owner = signed_in()
    token = token_of(invite(owner, home))
    assert accept(visitor(), token, "lou").status_code == 200
    place = f"/api/workspaces/{home['id']}/members/{id_of(owner, home, 'lou')}"
    owner.patch(place, json={"role": "viewer"})
    owner.delete(place)
    found = owner.get("/api/audit-log", params={"workspaceId": home["id"]})
    assert token not in found.text
    assert [one["action"] for one in reversed(found.json()["entries"])] == [
        "workspace.create",
        "invitation.create",
        "invitation.use",
        "member.add",
        "member.change",
        "member.remove",
    ]


def form(browser: httpx.Client, **fields: str) -> dict[str, str]:
    return {"csrf_token": browser.headers["X-CSRF-Token"], **fields}


def test_the_pages_do_it_all_without_a_script(
    door: Any, signed_in: Browser, visitor: Browser, home: dict[str, Any]
) -> None:
    owner, guest = signed_in(), visitor()
    fields = form(owner, workspaceId=home["id"], role="member", note="Ray <b>")
    page = owner.post("/members/invite", data=fields)
    assert page.status_code == 200
    assert "Ray &lt;b&gt;" in page.text
    link = page.text.split('id="invitation-link">')[1].split("<")[0]
    assert link.startswith(door.url)
    shown = guest.get(link)
    assert "Join Home" in shown.text
    given = {"csrf_token": guest.cookies["tokenwatcher_csrf"], "username": "ray"}
    refused = guest.post(link, data={**given, "password": "short"})
    assert refused.status_code == 400
    assert "must have 8 to 1024 characters" in refused.text
    joined = guest.post(link, data={**given, "password": PASSWORD})
    assert (joined.status_code, joined.headers["location"]) == (303, "/")
    assert guest.get("/members").status_code == 200
    assert guest.get(link).status_code == 404
    place = f"/members/{home['id']}/{id_of(owner, home, 'ray')}"
    assert owner.post(place, data=form(owner, role="viewer")).status_code == 303
    assert members(owner, home)["ray"] == "viewer"
    assert owner.post(f"{place}/remove", data=form(owner)).status_code == 303
    assert "ray" not in members(owner, home)


def test_somebody_with_an_account_joins_with_it(
    signed_in: Browser, person: Browser, home: dict[str, Any]
) -> None:
    guest, link = person("viewer"), f"/invitation/{token_of(invite(signed_in(), home))}"
    assert "Join as viewer-" in guest.get(link).text
    assert guest.post(link, headers={"X-CSRF-Token": "x"}).status_code == 403
    assert guest.post(link, data=form(guest)).status_code == 303
    assert home in guest.get("/api/workspaces").json()["workspaces"]
    assert guest.get(link).status_code == 404

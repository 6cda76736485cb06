"""A browser that was left open lets nobody make a lasting way in."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest

COOKIE = "tokenwatcher_session"
HOUR_US = 3_600_000_000
FORM = {"Accept": "text/html"}


@pytest.fixture
def left_open(door: Any, signed_in: Callable[[], httpx.Client]) -> httpx.Client:
    """A browser whose session began more than an hour ago."""
    browser = signed_in()
    session = sha256(browser.cookies[COOKIE].encode()).digest()
    change = "update sessions set created_at = created_at - :longer where hash = :session"
    assert door.change(change, longer=HOUR_US + 60_000_000, session=session) == 1
    return browser


@pytest.mark.parametrize("path", ["/api/api-keys", "/api/invitations"])
def test_keys_and_invitations_take_a_recent_sign_in(left_open: httpx.Client, path: str) -> None:
    [workspace, *_] = left_open.get("/api/workspaces").json()["workspaces"]
    body = {"workspaceId": workspace["id"], "note": "a way in", "role": "owner"}
    refused = left_open.post(path, json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "SIGN_IN_AGAIN")


def test_the_rest_goes_on_as_before(left_open: httpx.Client) -> None:
    [workspace, *_] = left_open.get("/api/workspaces").json()["workspaces"]
    made = left_open.post(
        "/api/projects", json={"workspaceId": workspace["id"], "name": "Made later"}
    )
    assert made.status_code == 201
    assert left_open.get("/api/api-keys").status_code == 200


def test_a_form_leads_to_signing_in_again_and_back_to_its_page(left_open: httpx.Client) -> None:
    token = left_open.headers.pop("X-CSRF-Token")
    form = {"csrf_token": token, "name": "a way in"}
    sent = left_open.post("/keys", data=form, headers=FORM)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/login?next=/keys&again=1")
    page = left_open.get(sent.headers["Location"], headers=FORM)
    assert "Sign in again" in page.text
    credentials = {"username": "admin", "password": "correct horse battery staple"}
    again = {"csrf_token": left_open.cookies["tokenwatcher_csrf"], "next": "/keys", **credentials}
    signed_in = left_open.post("/login", data=again, headers=FORM)
    assert (signed_in.status_code, signed_in.headers["Location"]) == (303, "/keys")
    form["csrf_token"] = left_open.cookies["tokenwatcher_csrf"]
    project = left_open.get("/api/projects").json()["projects"][0]
    form["scope"] = f"{project['workspaceId']}/{project['id']}"
    assert left_open.post("/keys", data=form, headers=FORM).status_code == 200


def test_a_form_of_a_session_that_ended_leads_to_signing_in(
    visitor: Callable[[], httpx.Client],
) -> None:
    sent = visitor().post("/keys", data={"name": "too late"}, headers=FORM)
    assert (sent.status_code, sent.headers["Location"]) == (303, "/login?next=/keys")

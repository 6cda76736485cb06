"""Nothing changes but by our own page: every state-changing call needs its session's token."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

Browser = Callable[[], httpx.Client]
COOKIE = "tokenwatcher_csrf"


def try_to_change(browser: httpx.Client, **options: Any) -> httpx.Response:
    return browser.post("/api/workspaces", json={"name": "made by a test"}, **options)


def assert_refused(browser: httpx.Client, response: httpx.Response) -> None:
    assert response.status_code == 403
    assert response.json()["code"] == "CSRF_INVALID"
    names = [found["name"] for found in browser.get("/api/workspaces").json()["workspaces"]]
    assert "made by a test" not in names


def test_a_change_with_the_token_is_made(signed_in: Browser) -> None:
    browser = signed_in()
    made = browser.post("/api/workspaces", json={"name": "by our page"})
    assert made.status_code == 201
    assert browser.delete(f"/api/workspaces/{made.json()['workspace']['id']}").status_code == 204


def test_a_change_without_a_token_is_refused(signed_in: Browser) -> None:
    browser = signed_in()
    del browser.headers["X-CSRF-Token"]
    assert_refused(browser, try_to_change(browser))


def test_a_token_without_its_cookie_is_refused(signed_in: Browser) -> None:
    browser = signed_in()
    browser.cookies.delete(COOKIE)
    assert_refused(browser, try_to_change(browser))


def test_a_token_of_another_session_is_refused_even_with_its_cookie(signed_in: Browser) -> None:
    ours, theirs = signed_in(), signed_in()
    token = theirs.headers["X-CSRF-Token"]
    ours.headers["X-CSRF-Token"] = token
    ours.cookies.delete(COOKIE)
    ours.cookies.set(COOKIE, token)
    assert_refused(ours, try_to_change(ours))


@pytest.mark.parametrize(
    "token", [b"", b"null", b"\xe9" * 128, b"x.\xe9", b"a.b, a.b", b"x" * 5000]
)
def test_a_token_of_any_other_kind_is_refused(signed_in: Browser, token: bytes) -> None:
    browser = signed_in()
    assert_refused(browser, try_to_change(browser, headers={b"X-CSRF-Token": token}))


def test_two_tokens_are_none(signed_in: Browser) -> None:
    browser = signed_in()
    good = browser.headers.pop("X-CSRF-Token")
    for first, second in ((good, good), (good, "junk"), ("junk", good)):
        headers = [("X-CSRF-Token", first), ("X-CSRF-Token", second)]
        assert_refused(browser, try_to_change(browser, headers=headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_change_from_another_site_is_refused_despite_its_token(
    signed_in: Browser, headers: dict[str, str]
) -> None:
    browser = signed_in()
    assert_refused(browser, try_to_change(browser, headers=headers))


def test_a_body_that_a_foreign_form_could_send_is_not_taken_for_json(signed_in: Browser) -> None:
    browser = signed_in()
    response = browser.post(
        "/api/workspaces",
        content=b'{"name": "made by a test"}',
        headers={"Content-Type": "text/plain"},
    )
    assert response.status_code == 415


def test_a_key_beside_a_session_is_all_that_counts(door: Any, signed_in: Browser) -> None:
    browser = signed_in()
    reader = door.key("--kind", "read")
    response = try_to_change(browser, headers={"Authorization": f"Bearer {reader}"})
    assert response.status_code == 403
    junk = browser.get("/api/stats", headers={"Authorization": "Bearer junk"})
    assert junk.status_code == 401
    event = {"provider": "openai", "model": "gpt-4o", "inputTokens": 5, "outputTokens": 1}
    assert browser.post("/api/ingest", json=event).status_code == 401
    writer = {"Authorization": f"Bearer {door.key()}", "X-CSRF-Token": "junk"}
    assert browser.post("/api/ingest", json=event, headers=writer).status_code == 200


def test_without_sign_in_a_foreign_name_for_this_machine_gets_nothing(new_instance: Any) -> None:
    """A page whose own name was made to point here must not read as if it were ours."""
    running = new_instance(DASHBOARD_AUTH_ENABLED="false")
    port = running.url.rpartition(":")[2]
    with running.client() as browser:
        for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
            assert browser.get("/api/stats", headers={"Host": name}).status_code == 200
        assert browser.get("/login").headers["location"] == "/"
        for name in (f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example"):
            for path in ("/api/stats", "/api/auth/csrf", "/"):
                refused = browser.get(path, headers={"Host": name, "Accept": "text/html"})
                assert refused.status_code in {400, 403}, (name, path)

"""Signing in and out over real HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

PASSWORD = "correct horse battery staple"
SESSION = "tokenwatcher_session"
Visitor = Callable[[], httpx.Client]


def sign_in(client: httpx.Client, password: str = PASSWORD, **headers: str) -> httpx.Response:
    credentials = {"username": "admin", "password": password}
    return client.post("/api/auth/login", json=credentials, headers=headers)


@pytest.mark.parametrize("path", ["/api/stats", "/api/events", "/api/workspaces", "/api/api-keys"])
def test_nobody_sees_data_without_signing_in(visitor: Visitor, path: str) -> None:
    stranger = visitor()
    response = stranger.get(path)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_page_leads_to_sign_in_and_back(visitor: Visitor) -> None:
    stranger = visitor()
    html = {"Accept": "text/html"}
    assert stranger.get("/", headers=html).headers["location"] == "/login?next=/"
    response = stranger.get("/events?days=7", headers=html)
    assert response.status_code == 303
    assert response.headers["location"] == "/login?next=/events%3Fdays%3D7"
    assert response.headers["cache-control"] == "no-store"


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(visitor: Visitor) -> None:
    stranger = visitor()
    wrong = sign_in(stranger, "wrong password")
    unknown = stranger.post(
        "/api/auth/login", json={"username": "nobody-here", "password": PASSWORD}
    )
    assert wrong.status_code == unknown.status_code == 401
    strip = {"requestId"}
    assert {k: v for k, v in wrong.json().items() if k not in strip} == {
        k: v for k, v in unknown.json().items() if k not in strip
    }
    assert wrong.headers.keys() == unknown.headers.keys()
    assert "set-cookie" not in wrong.headers


def test_the_session_cookie_is_the_servers_own_and_not_for_scripts(visitor: Visitor) -> None:
    browser = visitor()
    browser.cookies.set(SESSION, "attackerchosen")
    response = sign_in(browser)
    cookies = response.headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith(SESSION))
    assert "attackerchosen" not in session
    for attribute in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"):
        assert attribute in session
    assert "Secure" not in session
    readable = next(cookie for cookie in cookies if cookie.startswith("tokenwatcher_csrf"))
    assert "HttpOnly" not in readable


def test_signing_in_again_gives_another_session(visitor: Visitor) -> None:
    browser = visitor()
    first = sign_in(browser).cookies[SESSION]
    second = sign_in(browser).cookies[SESSION]
    assert first != second


def test_behind_a_trusted_proxy_the_cookie_is_for_https_alone(visitor: Visitor) -> None:
    response = sign_in(visitor(), **{"X-Forwarded-Proto": "https"})
    assert all("Secure" in cookie for cookie in response.headers.get_list("set-cookie"))


def test_a_forwarded_address_is_not_believed_from_just_anybody(instance: Any) -> None:
    with instance.client() as guesser:
        answers = [
            sign_in(guesser, f"guess {n}", **{"X-Forwarded-For": f"203.0.113.{n}"}).status_code
            for n in range(22)
        ]
    assert answers[-1] == 429


def test_signing_out_ends_the_session_on_the_server(visitor: Visitor, signed_in: Visitor) -> None:
    browser = signed_in()
    session = browser.cookies[SESSION]
    assert browser.get("/api/stats").status_code == 200
    assert browser.post("/api/auth/logout").status_code == 200
    thief = visitor()
    thief.cookies.set(SESSION, session)
    assert thief.get("/api/stats").status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/logout", "/api/auth/logout", "/api/auth/login"])
def test_nothing_changes_by_looking(signed_in: Visitor, method: str, path: str) -> None:
    browser = signed_in()
    assert browser.request(method, path).status_code == 405
    assert browser.get("/api/stats").status_code == 200


@pytest.mark.parametrize(
    "cookie", ["", "x", "x" * 43, "x" * 8000, "../../x", '"quoted"', "a%00b", "\xe9" * 43]
)
def test_a_forged_cookie_is_nobody(visitor: Visitor, cookie: str) -> None:
    headers = {b"cookie": f"{SESSION}={cookie}".encode("latin-1")}
    forger = visitor()
    assert forger.get("/api/stats", headers=headers).status_code in {401, 431}


def test_guessing_slows_down_and_says_for_how_long(visitor: Visitor) -> None:
    guesser = visitor()
    name = {"username": "guessed-account"}
    answers = [
        guesser.post("/api/auth/login", json={**name, "password": f"guess {n}"}) for n in range(7)
    ]
    assert [answer.status_code for answer in answers[:5]] == [401] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert sign_in(visitor()).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{}",
        b'{"username": "admin"}',
        b'{"username": 1, "password": 2}',
        b"{",
        b'{"username": "\xff", "password": "x"}',
        b'{"username": "a\\u0000b", "password": "x"}',
        b"[" * 40_000,
    ],
)
def test_an_odd_sign_in_is_refused_without_an_error(visitor: Visitor, body: bytes) -> None:
    stranger = visitor()
    response = stranger.post(
        "/api/auth/login", content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code in {400, 401}
    assert response.headers["content-type"] == "application/problem+json"


def test_a_password_of_any_length_is_answered(visitor: Visitor) -> None:
    stranger = visitor()
    assert sign_in(stranger, "x" * 100_000).status_code == 401


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https:evil", "/\\evil", "javascript:x", "/\tx", "\\\\evil", ""]
)
def test_after_sign_in_only_a_page_of_ours_follows(visitor: Visitor, wanted: str) -> None:
    browser = visitor()
    response = browser.post(
        "/login", data={"username": "admin", "password": PASSWORD, "next": wanted}
    )
    assert response.status_code == 303
    assert response.headers["location"] == "/"


def test_a_foreign_page_cant_sign_anybody_in(visitor: Visitor) -> None:
    form = {"username": "admin", "password": PASSWORD}
    browser = visitor()
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        response = browser.post("/login", data=form, headers=headers)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers


def test_the_form_works_without_a_script_and_says_what_was_wrong(visitor: Visitor) -> None:
    browser = visitor()
    page = browser.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="password"' in page.text
    wrong = browser.post("/login", data={"username": "admin", "password": "nope nope"})
    assert wrong.status_code == 401
    assert "wrong" in wrong.text
    assert "nope nope" not in wrong.text
    right = browser.post(
        "/login", data={"username": "admin", "password": PASSWORD, "next": "/events"}
    )
    assert right.headers["location"] == "/events"
    assert browser.get("/").status_code == 200

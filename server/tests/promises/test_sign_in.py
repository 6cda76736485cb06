"""Signing in and out over real HTTP."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tokenwatcher_server.access.links import make_link
from tokenwatcher_server.access.users import list_users
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.kernel.clock import SystemClock

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


def test_signing_in_again_ends_the_session_before(visitor: Visitor) -> None:
    browser = visitor()
    first = sign_in(browser).cookies[SESSION]
    assert sign_in(browser, "wrong password").status_code == 401
    assert browser.get("/api/stats").status_code == 200
    second = sign_in(browser).cookies[SESSION]
    assert first != second
    assert browser.get("/api/stats").status_code == 200
    assert with_session(visitor(), first).get("/api/stats").status_code == 401


def with_session(client: httpx.Client, session: str) -> httpx.Client:
    client.cookies.set(SESSION, session)
    return client


def test_two_sessions_in_one_request_are_none(visitor: Visitor, signed_in: Visitor) -> None:
    ours, theirs = signed_in().cookies[SESSION], signed_in().cookies[SESSION]
    stranger = visitor()
    for first, second in ((ours, theirs), (theirs, ours), (ours, "junk"), ("junk", ours)):
        headers = {"Cookie": f"{SESSION}={first}; {SESSION}={second}"}
        assert stranger.get("/api/stats", headers=headers).status_code == 401
    same_twice = {"Cookie": f"{SESSION}={ours}; other=1; {SESSION}={ours}"}
    assert stranger.get("/api/stats", headers=same_twice).status_code == 200


def test_a_password_changed_beside_the_server_ends_every_session_at_once(
    new_instance: Any,
) -> None:
    running = new_instance(DASHBOARD_PASSWORD=PASSWORD)
    with running.client() as browser, running.client() as again:
        assert sign_in(browser).status_code == 200
        assert browser.get("/api/stats").status_code == 200
        set_password(running, "another good password")
        assert browser.get("/api/stats").status_code == 401
        assert sign_in(again).status_code == 401
        assert sign_in(again, "another good password").status_code == 200


def set_password(running: Any, password: str) -> None:
    command = [sys.executable, "-m", "tokenwatcher_server", "users", "set-password", "admin"]
    subprocess.run(
        [*command, "--data-dir", str(running.data_dir)],
        input=password,
        text=True,
        check=True,
        env=running.environment,
    )


def test_behind_a_trusted_proxy_the_cookie_is_for_https_alone(visitor: Visitor) -> None:
    browser, https = visitor(), {"X-Forwarded-Proto": "https"}
    response = sign_in(browser, **https)
    assert all("Secure" in cookie for cookie in response.headers.get_list("set-cookie"))
    [session] = [one for one in response.headers.get_list("set-cookie") if SESSION in one]
    assert session.startswith(f"__Host-{SESSION}=")
    assert "Path=/" in session
    assert "Domain" not in session
    value = session.split(";")[0].partition("=")[2]
    for name, status in ((f"__Host-{SESSION}", 200), (SESSION, 401)):
        headers = {**https, "Cookie": f"{name}={value}"}
        assert visitor().get("/api/stats", headers=headers).status_code == status
    csrf = visitor().get("/api/auth/csrf", headers={**https, "Cookie": f"__Host-{SESSION}={value}"})
    token = csrf.json()["csrfToken"]
    cookies = f"__Host-{SESSION}={value}; tokenwatcher_csrf={token}"
    out = visitor().post(
        "/api/auth/logout", headers={**https, "Cookie": cookies, "X-CSRF-Token": token}
    )
    [ended] = [one for one in out.headers.get_list("set-cookie") if SESSION in one]
    assert ended.startswith(f"__Host-{SESSION}=")
    assert "Max-Age=0" in ended
    assert "Secure" in ended


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
    assert with_session(visitor(), session).get("/api/stats").status_code == 401


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


def test_a_proxy_is_believed_in_what_it_added_alone(visitor: Visitor) -> None:
    """The guesser writes addresses of its own; the proxy adds the true one, in either way."""
    guesser = visitor()
    true_address = guesser.headers.pop("X-Forwarded-For")
    statuses = []
    for number in range(22):
        made_up = f"203.0.113.{number}"
        one_line = [("X-Forwarded-For", f"{made_up}, {true_address}")]
        two_lines = [("X-Forwarded-For", made_up), ("X-Forwarded-For", true_address)]
        credentials = {"username": f"name {number}", "password": "a wrong guess"}
        headers = two_lines if number % 2 else one_line
        answer = guesser.post("/api/auth/login", json=credentials, headers=headers)
        statuses.append(answer.status_code)
    assert statuses == [401] * 20 + [429] * 2


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
        b'{"username": "admin", "password": "x", "password": "' + PASSWORD.encode() + b'"}',
        b'{"username": "x", "username": "admin", "password": "' + PASSWORD.encode() + b'"}',
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
    response = fill_in(browser, next=wanted)
    assert response.status_code == 303
    assert response.headers["location"] == "/"


def fill_in(
    browser: httpx.Client, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    """Open the form, fill it in and send it, as a browser without scripts does."""
    page = browser.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    form = {"csrf_token": token[1], "username": "admin", "password": PASSWORD, **fields}
    return browser.post("/login", data=form, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_foreign_page_cant_sign_anybody_in(visitor: Visitor, headers: dict[str, str]) -> None:
    browser = visitor()
    for response in (fill_in(browser, headers), sign_in(browser, **headers)):
        assert response.status_code == 403
        assert SESSION not in browser.cookies


def test_a_form_that_we_did_not_give_signs_nobody_in(visitor: Visitor, signed_in: Visitor) -> None:
    browser, victim = signed_in(), visitor()
    for token in ("", "made.up", browser.headers["X-CSRF-Token"]):
        assert fill_in(victim, csrf_token=token).status_code == 403
    form = {"username": "admin", "password": PASSWORD}
    refused = visitor().post("/login", data=form)
    assert refused.status_code == 403
    assert "reload" in refused.text
    assert SESSION not in refused.headers.get("set-cookie", "")


def test_behind_a_proxy_that_rewrites_the_host_the_browsers_word_counts(visitor: Visitor) -> None:
    headers = {"Origin": "https://spend.example", "Sec-Fetch-Site": "same-origin"}
    assert fill_in(visitor(), headers).status_code == 303


def test_a_field_that_comes_twice_is_refused(visitor: Visitor) -> None:
    content = urlencode(
        [("username", "admin"), ("password", "nope"), ("password", PASSWORD), ("csrf_token", "x")]
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = visitor().post("/login", content=content, headers=headers)
    assert response.status_code == 400


def test_a_link_signs_in_once_and_only_by_its_button(door: Any, visitor: Visitor) -> None:
    address = f"/sign-in/{new_link(door)}"
    browser, late = visitor(), visitor()
    for _ in range(3):  # a preview, a scanner, the person
        page = browser.get(address)
        assert f'action="{address}"' in page.text
    assert SESSION not in browser.cookies
    assert browser.post(address, headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.post(address).headers["location"] == "/"
    assert browser.get("/api/stats").status_code == 200
    assert late.post(address).status_code == 401
    assert SESSION not in late.cookies
    assert late.post("/sign-in/made-up").status_code == 401


def new_link(door: Any) -> str:
    async def make() -> str:
        database = Database(control_url(door.environment.get("DATABASE_URL"), door.data_dir))
        try:
            async with database.transaction() as connection:
                people = {user.username: user for user in await list_users(connection)}
                return await make_link(connection, people["admin"].id, SystemClock().now_us())
        finally:
            await database.close()

    return asyncio.run(make())


def test_the_form_works_without_a_script_and_says_what_was_wrong(visitor: Visitor) -> None:
    browser = visitor()
    page = browser.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="password"' in page.text
    wrong = fill_in(browser, password="nope nope")
    assert wrong.status_code == 401
    assert "wrong" in wrong.text
    assert "nope nope" not in wrong.text
    right = fill_in(browser, next="/events")
    assert right.headers["location"] == "/events"
    assert browser.get("/").status_code == 200

"""One's own account: the password and every session."""

from collections.abc import Callable

import httpx

Browser = Callable[..., httpx.Client]
PASSWORD = "correct horse battery staple"
ANOTHER = "another good long password"
SESSION = "tokenwatcher_session"


def name_of(browser: httpx.Client) -> str:
    return browser.get("/account").text.split('<p class="lede">')[1].split(".")[0]


def again(visitor: Browser, name: str, password: str = PASSWORD) -> httpx.Client:
    browser = visitor()
    credentials = {"username": name, "password": password}
    assert browser.post("/api/auth/login", json=credentials).status_code == 200
    return browser


def change(browser: httpx.Client, current: str, new: str) -> httpx.Response:
    body = {"currentPassword": current, "newPassword": new}
    return browser.post("/api/auth/password", json=body)


def test_a_changed_password_ends_every_other_session_and_rotates_this_one(
    person: Browser, visitor: Browser
) -> None:
    browser = person("viewer")
    other = again(visitor, name_of(browser))
    before = browser.cookies[SESSION]
    assert change(browser, PASSWORD, ANOTHER).status_code == 200
    assert browser.cookies[SESSION] != before
    assert browser.get("/api/stats").status_code == 200
    assert other.get("/api/stats").status_code == 401
    stolen = visitor()
    stolen.cookies.set(SESSION, before)
    assert stolen.get("/api/stats").status_code == 401
    again(visitor, name_of(browser), ANOTHER)


def test_a_password_is_changed_only_by_who_knows_the_present_one(person: Browser) -> None:
    browser = person("viewer")
    answer = change(browser, "wrong password", ANOTHER)
    assert (answer.status_code, answer.json()["code"]) == (400, "WRONG_CREDENTIALS")
    assert change(browser, PASSWORD, "password").json()["code"] == "WEAK_PASSWORD"
    assert browser.get("/api/stats").status_code == 200
    for _ in range(6):
        last = change(browser, "wrong password", ANOTHER)
    assert last.status_code == 429
    assert int(last.headers["retry-after"]) >= 1


def test_signing_out_everywhere_ends_every_session_of_mine_and_nobody_elses(
    person: Browser, visitor: Browser, signed_in: Browser
) -> None:
    browser, somebody = person("viewer"), signed_in()
    other = again(visitor, name_of(browser))
    assert "1 other browser" in browser.get("/account").text
    answer = browser.post("/api/auth/sign-out-everywhere")
    assert answer.status_code == 200
    assert any(SESSION in cookie for cookie in answer.headers.get_list("set-cookie"))
    assert other.get("/api/stats").status_code == 401
    assert somebody.get("/api/stats").status_code == 200


def test_the_account_page_changes_the_password_without_a_script(person: Browser) -> None:
    browser = person("viewer")
    token = {"csrf_token": browser.headers["X-CSRF-Token"]}
    wrong = browser.post("/account/password", data={**token, "current": "x", "new": ANOTHER})
    assert wrong.status_code == 400
    assert "is not your present password" in wrong.text
    done = browser.post("/account/password", data={**token, "current": PASSWORD, "new": ANOTHER})
    assert done.status_code == 303
    assert "Your password is changed" in browser.get(done.headers["location"]).text
    token = {"csrf_token": browser.cookies["tokenwatcher_csrf"]}
    out = browser.post(
        "/account/sign-out-everywhere", data=token, headers={"X-CSRF-Token": token["csrf_token"]}
    )
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert browser.get("/api/stats").status_code == 401

"""Who signs in with a provider gets the roles of their groups, and only they."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from server.tests.promises.single_sign_on.conftest import HTML, another, come_back, leave, sign_in
from server.tests.promises.single_sign_on.issuer import Issuer


def roles(client: httpx.Client) -> set[str]:
    found = client.get("/api/members").json()["members"]
    page = client.get("/account", headers=HTML).text
    name = page.split('<p class="lede">')[1].split(".")[0].split(",")[0]
    return {one["role"] for one in found if one["username"] == name}


def test_somebody_new_is_signed_in_with_the_role_of_their_groups(
    browser: httpx.Client, issuer: Issuer
) -> None:
    assert "Single sign-on" in browser.get("/login", headers=HTML).text
    issuer.person["groups"] = ["engineers", "choir"]
    answer = come_back(browser, leave(browser, issuer, next="/keys?days=7"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/keys?days=7")
    assert browser.get("/api/stats").status_code == 200
    assert roles(browser) == {"member"}
    assert "tokenwatcher_oidc" not in browser.cookies


def test_the_groups_of_each_sign_in_decide_the_roles(browser: httpx.Client, issuer: Issuer) -> None:
    issuer.person["groups"] = ["leads", "engineers"]
    sign_in(browser, issuer)
    assert roles(browser) == {"admin"}
    issuer.person["groups"] = []
    sign_in(browser, issuer)
    assert roles(browser) == {"viewer"}
    assert browser.get("/api/audit-log").status_code == 403
    issuer.person["groups"] = "platform"
    sign_in(browser, issuer)
    assert browser.get("/api/audit-log").status_code == 200
    written = browser.get("/api/audit-log", params={"actor": issuer.person["preferred_username"]})
    assert {"member.change", "user.change", "session.begin"} <= {
        one["action"] for one in written.json()["entries"]
    }
    issuer.person["groups"] = []
    sign_in(browser, issuer)
    assert browser.get("/api/audit-log").status_code == 403


def test_an_account_made_here_is_never_taken_over(browser: httpx.Client, issuer: Issuer) -> None:
    issuer.person |= {"preferred_username": "admin", "email": "admin"}
    assert sign_in(browser, issuer).status_code == 303
    assert "admin-2" in browser.get("/account", headers=HTML).text
    assert browser.get("/api/audit-log").status_code == 403


def test_who_signs_in_elsewhere_has_no_password_to_guess(
    browser: httpx.Client, issuer: Issuer
) -> None:
    sign_in(browser, issuer)
    for password in ("", "correct horse battery staple"):
        typed = {"username": issuer.person["preferred_username"], "password": password}
        assert browser.post("/api/auth/login", json=typed).status_code == 401


def test_nobody_finishes_a_sign_in_that_another_browser_began(
    sso: Any, browser: httpx.Client, issuer: Issuer
) -> None:
    address = leave(browser, issuer)
    with another(sso) as victim:
        assert come_back(victim, address).status_code == 403
        leave(victim, issuer)
        assert come_back(victim, address).status_code == 403
        assert victim.get("/api/stats").status_code == 401
    assert come_back(browser, f"{address}x").status_code == 403
    assert come_back(browser, address).status_code == 403


def test_a_code_and_a_way_back_work_once(browser: httpx.Client, issuer: Issuer) -> None:
    address = leave(browser, issuer)
    cookie = browser.cookies["tokenwatcher_oidc"]
    assert come_back(browser, address).status_code == 303
    browser.cookies.clear()
    browser.cookies.set("tokenwatcher_oidc", cookie)
    assert come_back(browser, address).status_code == 401
    assert browser.get("/api/stats").status_code == 401


@pytest.mark.parametrize("code", ["", "made-up", "x" * 5_000])
def test_a_made_up_code_signs_nobody_in(browser: httpx.Client, issuer: Issuer, code: str) -> None:
    state = parse_qs(urlsplit(leave(browser, issuer)).query)["state"][0]
    answer = come_back(browser, f"/login/oidc/callback?{urlencode({'code': code, 'state': state})}")
    assert answer.status_code in {401, 403}
    assert browser.get("/api/stats").status_code == 401


@pytest.mark.parametrize(
    "cookie", ["junk", "e30=.junk", "." * 9, "\udcff".encode(errors="surrogateescape")]
)
def test_a_forged_cookie_is_no_sign_in(browser: httpx.Client, cookie: str | bytes) -> None:
    value = cookie if isinstance(cookie, bytes) else cookie.encode()
    headers = [(b"Cookie", b"tokenwatcher_oidc=" + value), (b"Accept", b"text/html")]
    answer = browser.get("/login/oidc/callback?code=x&state=y", headers=headers)
    assert answer.status_code == 403


def test_afterwards_only_a_page_of_ours_follows(browser: httpx.Client, issuer: Issuer) -> None:
    answer = come_back(browser, leave(browser, issuer, next="//evil.example"))
    assert answer.headers["location"] == "/"


def test_without_a_provider_there_is_no_single_sign_on(door: Any) -> None:
    with door.client() as client:
        assert client.get("/login/oidc").status_code == 404
        assert "Single sign-on" not in client.get("/login", headers=HTML).text

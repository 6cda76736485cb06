"""Single sign-on with a provider of the test's own: real HTTP, real RS256 signatures."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tokenwatcher_server.access.oidc import SignInRequest, new_request
from tokenwatcher_server.access.oidc_provider import Client, Provider
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind

CLIENT, SECRET = "tokenwatcher", "s3cret:with/odd=characters"
GROUPS = "*=viewer,engineers=member,leads=admin,billing=finance:viewer,platform=instance"
HTML = {"Accept": "text/html"}
ADDRESSES = count(1)


class Issuer:
    """A small OpenID Connect provider that checks what a client must send.

    `person` is who signs in; `mint` makes the ID token and may be replaced by a dishonest one.
    """

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first"})
        self.codes: dict[str, dict[str, str]] = {}
        self.person: dict[str, Any] = {}
        self.mint: Callable[[dict[str, Any]], str] = self.signed
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce,
                **self.person}  # fmt: skip

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Sign the person in, and give the address that the browser is sent back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        assert len(asked["nonce"]) >= 32
        assert len(asked["state"]) >= 32
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, authorization: str, form: dict[str, str]) -> dict[str, Any] | None:
        """The tokens of a code, once, for who sent the browser and holds its verifier."""
        asked = self.codes.pop(form["code"], None)
        name, _, secret = (
            base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        )
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or (name, secret) != (CLIENT, SECRET):
            return None
        if form["redirect_uri"] != asked["redirect_uri"] or challenge != asked["code_challenge"]:
            return None
        return {
            "access_token": "at",
            "token_type": "Bearer",
            "id_token": self.mint(self.claims(asked["nonce"])),
        }

    def _handler(issuer) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - both are `self`
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path)
                if path.path == "/.well-known/openid-configuration":
                    self.answer(200, issuer.description())
                elif path.path == "/jwks":
                    self.answer(200, {"keys": [issuer.key.as_dict(private=False)]})
                else:
                    self.answer(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                tokens = issuer.token(self.headers["Authorization"], dict(parse_qsl(body)))
                self.answer(200 if tokens else 400, tokens or {"error": "invalid_grant"})

            def answer(self, status: int, content: dict[str, Any]) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    running = Issuer()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture
def own_issuer() -> Iterator[Issuer]:
    """One that a test may break."""
    running = Issuer()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="module")
def sso(instance: Any, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    running = type(instance)(
        tmp_path_factory.mktemp("sso") / "data",
        DASHBOARD_PASSWORD="correct horse battery staple",
        TRUSTED_PROXIES="127.0.0.0/8",
        OIDC_ISSUER=issuer.url,
        OIDC_CLIENT_ID=CLIENT,
        OIDC_CLIENT_SECRET=SECRET,
        OIDC_GROUP_ROLES=GROUPS,
    )
    yield running
    running.stop()


@pytest.fixture
def browser(sso: Any, issuer: Issuer) -> Iterator[httpx.Client]:
    issuer.mint = issuer.signed
    issuer.person = {"sub": secrets.token_hex(8), "preferred_username": f"kim-{next(ADDRESSES)}"}
    with another(sso) as client:
        yield client


def another(sso: Any) -> httpx.Client:
    client: httpx.Client = sso.client()
    client.headers["X-Forwarded-For"] = f"203.0.113.{next(ADDRESSES)}"
    return client


def leave(client: httpx.Client, issuer: Issuer, **asked: str) -> str:
    """Go to the provider and sign in there; gives the address to come back to."""
    answer = client.get("/login/oidc", params=asked)
    assert answer.status_code == 303, answer.text
    address = urlsplit(answer.headers["location"])
    assert f"{address.scheme}://{address.netloc}" == issuer.url
    return issuer.authorize({name: one for name, [one] in parse_qs(address.query).items()})


def come_back(client: httpx.Client, address: str) -> httpx.Response:
    return client.get(address, headers=HTML)


def sign_in(client: httpx.Client, issuer: Issuer) -> httpx.Response:
    return come_back(client, leave(client, issuer))


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


def forged(issuer: Issuer, **changed: Any) -> Callable[[dict[str, Any]], str]:
    def mint(claims: dict[str, Any]) -> str:
        return issuer.signed({**claims, **changed})

    return mint


def encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def unsigned(claims: dict[str, Any]) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def by_shared_key(issuer: Issuer) -> Callable[[dict[str, Any]], str]:
    """Signed with what everybody knows: the public key, taken for a shared secret."""
    header = encoded({"alg": "HS256", "kid": issuer.key.kid, "typ": "JWT"})

    def mint(claims: dict[str, Any]) -> str:
        content = f"{header}.{encoded(claims)}"
        public = issuer.key.as_pem(private=False)
        signature = hmac.new(public, content.encode(), hashlib.sha256).digest()
        return f"{content}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"

    return mint


def by_another_key(issuer: Issuer) -> Callable[[dict[str, Any]], str]:
    key = RSAKey.generate_key(2048)
    return lambda claims: jwt.encode({"alg": "RS256", "kid": issuer.key.kid}, claims, key)


Mint = Callable[[dict[str, Any]], str]
DISHONEST: dict[str, Callable[[Issuer], Mint]] = {
    "another nonce": lambda issuer: forged(issuer, nonce="replayed"),
    "another audience": lambda issuer: forged(issuer, aud="another-client"),
    "several audiences": lambda issuer: forged(issuer, aud=[CLIENT, "another"], azp="another"),
    "another issuer": lambda issuer: forged(issuer, iss="https://evil.example"),
    "too old": lambda issuer: forged(issuer, exp=int(time.time()) - 600),
    "without a subject": lambda issuer: forged(issuer, sub=None),
    "signed by another key": by_another_key,
    "signed with the public key": by_shared_key,
    "not signed": lambda _: unsigned,
    "no token at all": lambda _: lambda _: "nonsense",
}


@pytest.mark.parametrize("name", DISHONEST)
def test_a_token_that_is_not_wholly_right_signs_nobody_in(
    sso: Any, browser: httpx.Client, issuer: Issuer, name: str
) -> None:
    issuer.mint = DISHONEST[name](issuer)
    answer = sign_in(browser, issuer)
    assert answer.status_code == 401, name
    assert "Single sign-on did not work" in answer.text
    assert "tokenwatcher_session" not in browser.cookies
    assert browser.get("/api/stats").status_code == 401
    assert SECRET not in sso.log


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


def client_of(issuer: Issuer) -> Client:
    return Client(issuer.url, CLIENT, SECRET, "groups")


def test_new_keys_of_the_provider_are_found_and_old_ones_worth_nothing(own_issuer: Issuer) -> None:
    clock = FrozenClock(time.time_ns() // 1000)
    own_issuer.person = {"sub": "s", "email": "kim@example.com"}
    redirect = "http://127.0.0.1/login/oidc/callback"

    async def once(provider: Provider) -> str:
        asked = new_request("/", clock.now_us())
        address = urlsplit(await provider.authorization_url(asked, redirect))
        back = own_issuer.authorize({name: one for name, [one] in parse_qs(address.query).items()})
        code = parse_qs(urlsplit(back).query)["code"][0]
        return (await provider.identity(code, asked, redirect)).username

    async def scenario() -> None:
        provider = Provider(client_of(own_issuer), clock)
        assert await once(provider) == "kim@example.com"
        old, own_issuer.key = own_issuer.key, RSAKey.generate_key(2048, {"kid": "second"})
        clock.advance(seconds=61)
        own_issuer.mint = own_issuer.signed
        assert await once(provider) == "kim@example.com"
        own_issuer.mint = lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, old)
        with pytest.raises(AppError) as refused:
            await once(provider)
        assert refused.value.kind is Kind.UNAUTHENTICATED

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "described", [{"issuer": "https://evil.example"}, {"jwks_uri": "ftp://x"}, {"issuer": None}]
)
def test_a_provider_that_says_it_is_another_is_not_used(
    own_issuer: Issuer, monkeypatch: pytest.MonkeyPatch, described: dict[str, Any]
) -> None:
    whole = own_issuer.description()
    monkeypatch.setattr(own_issuer, "description", lambda: whole | described)
    assert_unavailable(client_of(own_issuer))


def test_a_provider_that_is_away_is_said_to_be() -> None:
    assert_unavailable(Client("http://127.0.0.1:9", CLIENT, SECRET, "groups"))


def assert_unavailable(client: Client) -> None:
    clock = FrozenClock(time.time_ns() // 1000)
    asked: SignInRequest = new_request("/", clock.now_us())
    with pytest.raises(AppError) as refused:
        asyncio.run(Provider(client, clock).authorization_url(asked, "http://127.0.0.1/"))
    assert refused.value.kind is Kind.UNAVAILABLE

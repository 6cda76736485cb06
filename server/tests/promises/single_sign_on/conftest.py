"""An instance whose people sign in with a provider, and browsers that go there and come back."""

import secrets
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from server.tests.promises.single_sign_on.issuer import CLIENT, SECRET, Issuer, issuing

GROUPS = "*=viewer,engineers=member,leads=admin,billing=finance:viewer,platform=instance"
HTML = {"Accept": "text/html"}
ADDRESSES = count(1)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
def own_issuer() -> Iterator[Issuer]:
    """One that a test may break."""
    with issuing() as running:
        yield running


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

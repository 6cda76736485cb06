"""A provider changes its keys, is away, or says that it is another."""

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from server.tests.promises.single_sign_on.issuer import CLIENT, SECRET, Issuer
from tokenwatcher_server.access.oidc import SignInRequest, new_request
from tokenwatcher_server.access.oidc_provider import Client, Provider
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.errors import AppError, Kind


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

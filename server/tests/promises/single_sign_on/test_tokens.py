"""A token that is not wholly right signs nobody in."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from server.tests.promises.single_sign_on.conftest import sign_in
from server.tests.promises.single_sign_on.issuer import CLIENT, SECRET, Issuer


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

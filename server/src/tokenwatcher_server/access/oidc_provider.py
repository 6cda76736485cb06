"""Asks an OpenID Connect provider who somebody is: Authorization Code with PKCE.

The only requests of the server that leave for it: to the issuer that the operator configured
and to the endpoints which that issuer names. No redirect is followed, no proxy of the
environment used, and an answer is read up to a size and for a time.
"""

from typing import Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from tokenwatcher_server.access.names import checked_name
from tokenwatcher_server.access.oidc import Identity, SignInRequest
from tokenwatcher_server.access.users import LONGEST_USERNAME
from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.kernel.errors import AppError, Kind, unavailable
from tokenwatcher_server.observability.logs import logger

Decoded = TypeVar("Decoded")

SCOPE = "openid profile email"
TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 1_000_000
KNOWN_FOR_US = 3_600 * MICROSECONDS
KEYS_ASKED_EVERY_US = 60 * MICROSECONDS
LEEWAY_SECONDS = 60
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
"""Signatures made with a private key: with a shared one, the client could make them itself."""
NAMES = ("preferred_username", "email", "name", "sub")
"""The claims that a username is taken from, in this order."""


class Metadata(msgspec.Struct, frozen=True):
    """The part of the provider's description of itself that is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class Client(msgspec.Struct, frozen=True):
    """What this server is to the provider."""

    issuer: str
    client_id: str
    client_secret: str | None
    groups_claim: str


class Provider:
    """The provider's description and keys are remembered for an hour."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._metadata: tuple[int, Metadata] | None = None
        self._keys: tuple[int, dict[str, Any]] | None = None

    async def authorization_url(self, request: SignInRequest, redirect_url: str) -> str:
        """Where to send a browser. Raises AppError (503) where the provider can't be asked."""
        # imported where they are used: most instances have no provider, and start sooner so
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._described()
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            self._client.client_id,
            "code",
            redirect_url,
            SCOPE,
            request.state,
            nonce=request.nonce,
            code_challenge=create_s256_code_challenge(request.verifier),
            code_challenge_method="S256",
        )
        return url

    async def identity(self, code: str, request: SignInRequest, redirect_url: str) -> Identity:
        """Who came back with this code.

        Raises AppError: 401 for a code or a token that is not good, 503 where the provider
        can't be asked.
        """
        metadata = await self._described()
        tokens = await self._redeem(metadata, code, request, redirect_url)
        claims = await self._claims(metadata, tokens, request.nonce)
        return _identity(claims, metadata.issuer, self._client.groups_claim)

    async def _described(self) -> Metadata:
        now_us = self._clock.now_us()
        if self._metadata is not None and now_us - self._metadata[0] < KNOWN_FOR_US:
            return self._metadata[1]
        issuer = self._client.issuer
        address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        found = _decoded(await self._ask("GET", address), Metadata)
        schemes = {urlsplit(url).scheme for url in (found.token_endpoint, found.jwks_uri)}
        if found.issuer != issuer or schemes != {urlsplit(issuer).scheme}:
            raise _not_usable("its description is of another issuer, or leads off HTTPS")
        self._metadata = (now_us, found)
        return found

    async def _redeem(
        self, metadata: Metadata, code: str, request: SignInRequest, redirect_url: str
    ) -> Tokens:
        from authlib.oauth2.auth import ClientAuth

        method = "none"
        if self._client.client_secret is not None:
            basic = "client_secret_basic" in metadata.token_endpoint_auth_methods_supported
            method = "client_secret_basic" if basic else "client_secret_post"
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_url,
            "code_verifier": request.verifier,
        }
        auth = ClientAuth(self._client.client_id, self._client.client_secret, method)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, headers, urlencode(form))
        return _decoded(await self._ask("POST", url, headers, body), Tokens)

    async def _claims(self, metadata: Metadata, tokens: Tokens, nonce: str) -> dict[str, Any]:
        """The claims of the ID token, once signature, issuer, audience, time and nonce hold."""
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            keys = KeySet.import_key_set(await self._jwks(metadata, fresh=False))  # type: ignore[arg-type]
            try:
                token = jwt.decode(tokens.id_token, keys, registry=registry)
            except InvalidKeyIdError:  # the provider may have new keys
                keys = KeySet.import_key_set(await self._jwks(metadata, fresh=True))  # type: ignore[arg-type]
                token = jwt.decode(tokens.id_token, keys, registry=registry)
            options = {
                "iss": {"essential": True, "values": [metadata.issuer]},
                "aud": {"essential": True, "values": [self._client.client_id]},
            }
            known = {
                "nonce": nonce,
                "client_id": self._client.client_id,
                "access_token": tokens.access_token,
            }
            claims = CodeIDToken(token.claims, token.header, options, known)
            claims.validate(now=self._clock.now_us() // MICROSECONDS, leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _refused(type(error).__name__) from None
        return dict(claims)

    async def _jwks(self, metadata: Metadata, *, fresh: bool) -> dict[str, Any]:
        now_us = self._clock.now_us()
        age_us = KNOWN_FOR_US if self._keys is None else now_us - self._keys[0]
        if self._keys is not None and age_us < (KEYS_ASKED_EVERY_US if fresh else KNOWN_FOR_US):
            return self._keys[1]
        found: dict[str, Any] = _decoded(await self._ask("GET", metadata.jwks_uri), dict)
        self._keys = (now_us, found)
        return found

    async def _ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> bytes:
        """An answer's body; raises AppError: 401 for a refusal, 503 for none that can be used."""
        import httpx  # here: a start would pay for it, and most have no such provider to ask

        answer = b""
        try:
            async with (
                httpx.AsyncClient(
                    timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
                ) as client,
                client.stream(method, url, headers=headers, content=body) as response,
            ):
                async for part in response.aiter_bytes():
                    answer += part
                    if len(answer) > LARGEST_ANSWER:
                        raise _not_usable("its answer is too large")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _not_usable(type(error).__name__) from None
        if method == "POST" and response.status_code in {400, 401, 403}:
            raise _refused(f"status {response.status_code}")
        if response.status_code != 200:
            raise _not_usable(f"status {response.status_code}")
        return answer


def _identity(claims: dict[str, Any], issuer: str, groups_claim: str) -> Identity:
    groups = claims.get(groups_claim, ())
    if isinstance(groups, str):
        groups = (groups,)
    if not isinstance(groups, list | tuple):
        groups = ()
    return Identity(
        issuer=issuer,
        subject=str(claims["sub"])[:255],
        username=_username(claims),
        groups=frozenset(one for one in groups if isinstance(one, str)),
    )


def _username(claims: dict[str, Any]) -> str:
    """The first claim that can be a name here, with room for a number behind it."""
    for name in NAMES:
        value = claims.get(name)
        if isinstance(value, str) and value.strip():
            try:
                return checked_name(value[: LONGEST_USERNAME - 10], "username", longest=200)
            except AppError:
                continue
    raise _refused("no claim can be a username")


def _decoded(answer: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_usable("its answer is not what the standard says") from None


def _refused(reason: str) -> AppError:
    logger().warning("a sign-in by OpenID Connect failed", reason=reason)
    return AppError(
        Kind.UNAUTHENTICATED, "OIDC_REFUSED", "Single sign-on did not work. Try it once more."
    )


def _not_usable(reason: str) -> AppError:
    logger().error("the OpenID Connect provider can't be used", reason=reason)
    return unavailable("The sign-in service can't be reached now. Try again soon.", retry_after=10)

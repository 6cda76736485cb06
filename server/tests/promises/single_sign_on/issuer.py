"""An OpenID Connect provider of the tests' own: real HTTP, real RS256 signatures."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "tokenwatcher", "s3cret:with/odd=characters"


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


@contextmanager
def issuing() -> Iterator[Issuer]:
    running = Issuer()
    yield running
    running.server.shutdown()
    running.server.server_close()

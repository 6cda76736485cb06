"""CSRF tokens: `nonce.signature`, where the signature covers the session the token is for.

A token planted from another session or forged has no valid signature for this one. Everything
is compared as bytes, so no text a client sends can raise.
"""

import hmac
import secrets
from hashlib import sha256

LONGEST = 200


def make_token(secret: bytes, session_id: str) -> str:
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{_signature(secret, session_id, nonce.encode())}"


def is_valid(secret: bytes, session_id: str, token: str | None) -> bool:
    """Whether the token was made here for this very session."""
    if not token or len(token) > LONGEST:
        return False
    given = token.encode("utf-8", "surrogatepass")
    nonce, _, signature = given.partition(b".")
    expected = _signature(secret, session_id, nonce).encode()
    return hmac.compare_digest(signature, expected)


def _signature(secret: bytes, session_id: str, nonce: bytes) -> str:
    message = b"csrf\0" + session_id.encode() + b"\0" + nonce
    return hmac.new(secret, message, sha256).hexdigest()

"""Signatures by the Standard Webhooks specification, version 1.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def signed_headers(
    webhook_id: str, seconds: int, body: bytes, signing_secrets: Sequence[str]
) -> dict[str, str]:
    """The headers for a body sent at `seconds` since 1970; one signature for each secret."""
    content = f"{webhook_id}.{seconds}.".encode() + body
    signatures = [_signature(secret, content) for secret in signing_secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, content, sha256).digest()).decode("ascii")

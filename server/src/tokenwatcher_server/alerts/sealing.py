"""Channel secrets at rest: AES-256-GCM under a key derived from the server's secret."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tokenwatcher_server.kernel.errors import AppError, Kind

_NONCE_BYTES = 12
_PURPOSE = b"tokenwatcher channel secrets v1"


class Seal:
    """Seals and opens text; what it is bound to (an id) must be the same both times."""

    def __init__(self, server_secret: bytes) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=_PURPOSE).derive(server_secret)
        self._cipher = AESGCM(key)

    def close(self, text: str, bound_to: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, bound_to: str) -> str:
        """Raises AppError (409) where it was sealed under another secret of the server."""
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, content, bound_to.encode()).decode()
        except InvalidTag:
            raise AppError(
                Kind.CONFLICT,
                "SECRET_CHANGED",
                "The channel was made under another DASHBOARD_SESSION_SECRET: make it anew.",
            ) from None

"""The secret that signs: the operator's, or one generated into an owner-only file."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from tokenwatcher_server.kernel.errors import InstanceRefused

FILE_NAME = "session.secret"
SHORTEST_SECRET = 32


def session_secret(given: str | None, data_dir: Path) -> bytes:
    """The operator's secret, else that of the data folder, made where it is missing.

    Raises InstanceRefused for a file that is too short to sign with.
    """
    if given is not None:
        return given.encode()
    path = data_dir / FILE_NAME
    if not path.exists():
        _make(path)
    found = path.read_bytes().strip()
    if len(found) < SHORTEST_SECRET:
        raise InstanceRefused(
            f"{FILE_NAME} in the data folder is damaged; delete it, and a new one is made at the "
            "next start, which signs everybody out."
        )
    return found


def _make(path: Path) -> None:
    """Write the whole secret beside its place, then put it there unless another was faster.

    A start that is killed midway leaves no file that is too short.
    """
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(48).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()

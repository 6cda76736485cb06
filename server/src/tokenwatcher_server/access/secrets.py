"""The secret that signs: the operator's, or one generated into an owner-only file."""

import os
import secrets
from pathlib import Path

FILE_NAME = "session.secret"


def session_secret(given: str | None, data_dir: Path) -> bytes:
    """The operator's secret, else that of the data folder, made where it is missing."""
    if given is not None:
        return given.encode()
    path = data_dir / FILE_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    made = secrets.token_urlsafe(48).encode()
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    return made

"""What a backup says of itself: its files with their digests, and what its events come to."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "manifest.json"
VERSION: Final = 1
_CHUNK: Final = 1 << 20


class BackupRefused(Exception):
    """A backup can't be made, read or restored; the message says why and what to do."""


class File(msgspec.Struct, frozen=True):
    """One file of a backup; `rows` are its events, later prices, or control rows."""

    name: str
    kind: str
    rows: int
    bytes: int
    sha256: str


class DayTotals(msgspec.Struct, frozen=True, rename="camel"):
    """What a workspace's events of one UTC day come to, at their present prices."""

    workspace_id: str
    day: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost: int
    """Picodollars."""
    unpriced: int


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """The whole of `manifest.json`."""

    version: int
    tokenwatcher: str
    """The version that made it."""
    created_at: str
    schema: str
    """The revision of the control data."""
    events: int
    repricings: int
    control_rows: dict[str, int]
    files: tuple[File, ...]
    totals: tuple[DayTotals, ...]

    def of_kind(self, kind: str) -> list[File]:
        """The files of one kind, in the order they are to be read."""
        return [file for file in self.files if file.kind == kind]


def describe(folder: Path, name: str, kind: str, rows: int) -> File:
    """Measure a file as it lies in the folder."""
    path = folder / name
    return File(name, kind, rows, path.stat().st_size, _sha256(path))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it for people to read too."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / FILE_NAME).write_bytes(text + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupRefused where the folder holds no backup that this version can read."""
    try:
        manifest = msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise BackupRefused(f"{folder} is not a backup: it has no {FILE_NAME}.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise BackupRefused(f"{folder / FILE_NAME} can't be read: {error}.") from None
    if manifest.version != VERSION:
        raise BackupRefused(
            f"{folder} was made by TokenWatcher {manifest.tokenwatcher}, in a form (version "
            f"{manifest.version}) that this one doesn't know: use that one."
        )
    return manifest


def damage(folder: Path, files: Sequence[File]) -> list[str]:
    """Name each file that is missing or is not as it was written."""
    found = []
    for file in files:
        path = folder / file.name
        if Path(file.name).name != file.name:
            found.append(f"{file.name}: not the name of a file in the backup")
        elif not path.is_file():
            found.append(f"{file.name}: missing")
        elif path.stat().st_size != file.bytes:
            found.append(f"{file.name}: {path.stat().st_size} bytes instead of {file.bytes}")
        elif _sha256(path) != file.sha256:
            found.append(f"{file.name}: not the bytes that were written")
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

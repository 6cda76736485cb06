"""The files a page is dressed with: held in memory, named by their content, kept for ever.

An address holds the hash of the file's content, so a browser may keep it until that changes.
Text is compressed once, when the server starts.
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""What is served at all: a licence or a note beside these files is not."""
_COMPRESSED = frozenset({".css", ".js", ".svg"})


class StaticFile(msgspec.Struct, frozen=True):
    name: str
    digest: str
    media_type: str
    content: bytes
    gzipped: bytes | None

    @property
    def url(self) -> str:
        return f"/static/{self.digest}/{self.name}"


@functools.cache
def static_files() -> Mapping[str, StaticFile]:
    """Every file by its name, such as `vendor/htmx/htmx.min.js`."""
    found: dict[str, StaticFile] = {}
    paths = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES]
    for path in sorted(paths, key=lambda path: path.suffix == ".css"):  # a sheet names the others
        name = path.relative_to(FOLDER).as_posix()
        found[name] = _file(name, path.suffix, _with_addresses(path.read_bytes(), found))
    return MappingProxyType(found)


def static_url(name: str) -> str:
    """The address of a file; raises KeyError for one that isn't there."""
    return static_files()[name].url


def _file(name: str, suffix: str, content: bytes) -> StaticFile:
    return StaticFile(
        name=name,
        digest=hashlib.sha256(content).hexdigest()[:16],
        media_type=TYPES[suffix],
        content=content,
        gzipped=gzip.compress(content, mtime=0) if suffix in _COMPRESSED else None,
    )


def _with_addresses(content: bytes, found: Mapping[str, StaticFile]) -> bytes:
    """Turn `static:NAME` in a style sheet into the address that holds the file's hash."""
    for name, file in found.items():
        content = content.replace(f"static:{name}".encode(), file.url.encode())
    return content

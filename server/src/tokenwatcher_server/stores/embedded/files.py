"""The files of the embedded store: where they are, and that one process alone writes them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tokenwatcher_server.events.store import StoreRefused


class StoreFiles(msgspec.Struct, frozen=True):
    """What the store keeps in the data folder."""

    folder: Path

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    @property
    def columns(self) -> Path:
        return self.folder / "events.duckdb"

    @property
    def responses(self) -> Path:
        return self.folder / "events.responses"

    @property
    def spill(self) -> Path:
        return self.folder / "events.tmp"

    @property
    def new_columns(self) -> Path:
        """Where the columns are made anew, beside the old ones."""
        return self.folder / "events.new"

    @property
    def new_responses(self) -> Path:
        return self.folder / "events.responses.new"

    @property
    def new_spill(self) -> Path:
        return self.folder / "events.new.tmp"

    @property
    def lock(self) -> Path:
        return self.folder / "events.lock"

    def bytes_on_disk(self) -> int:
        paths = [*self.folder.glob("journal.db*"), *self.folder.glob("events.duckdb*")]
        sizes = [*paths, *self.responses.glob("*")]
        return sum(path.stat().st_size for path in sizes if path.is_file())


def files_of(data_dir: Path) -> StoreFiles:
    return StoreFiles(data_dir)


def prepare(files: StoreFiles) -> None:
    """Make the folders, for their owner alone. Raises StoreRefused where that can't be done."""
    try:
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.folder.chmod(0o700)
        files.responses.mkdir(mode=0o700, exist_ok=True)
        files.spill.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreRefused(_unwritable(files, error)) from None


def touch_private(path: Path) -> None:
    """Make a file that only its owner can read, before an engine makes it for everyone."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


@contextmanager
def claimed(files: StoreFiles) -> Iterator[None]:
    """Hold the folder for this process. Raises StoreRefused where another one holds it."""
    try:
        descriptor = os.open(files.lock, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StoreRefused(_unwritable(files, error)) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreRefused(
            f"another TokenWatcher is running on {files.folder} (process {holder}): stop it "
            "first, or give this one a data folder of its own"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _unwritable(files: StoreFiles, error: OSError) -> str:
    return (
        f"{files.folder} can't be written ({error.strerror}): give the data folder to the user "
        "that runs TokenWatcher, or name another with --data-dir"
    )

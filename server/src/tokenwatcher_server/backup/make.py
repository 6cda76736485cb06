"""Makes a backup: a folder that is there whole or not at all.

1. Take the end of the journal as it is now; whatever comes later is not in the backup.
2. Write the later prices, then the events in files of some thousands, adding them up by day.
3. Dump the control data, which by now knows every project that those events name.
4. Write the manifest, make everything durable, and give the folder its name.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tokenwatcher_server.access.secrets import FILE_NAME as SECRET
from tokenwatcher_server.backup.manifest import (
    VERSION,
    BackupRefused,
    File,
    Manifest,
    describe,
    write_manifest,
)
from tokenwatcher_server.backup.portions import portions
from tokenwatcher_server.backup.totals import Totals
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.dump import dump
from tokenwatcher_server.control.migrate import HEAD
from tokenwatcher_server.events.history import History
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.stores import Progress
from tokenwatcher_server.stores.archive import write_events, write_repricings

EVENTS_A_FILE: Final = 50_000
CONTROL: Final = "control.jsonl"
REPRICINGS: Final = "repricings.parquet"


async def make_backup(
    target: Path,
    *,
    history: History,
    database: Database,
    data_dir: Path,
    actor: Actor,
    now_us: int,
    progress: Progress,
) -> Manifest:
    """Write a backup into a new folder, for its owner alone.

    Raises BackupRefused where the folder is in use, and OSError where it can't be written.
    """
    with new_folder(target) as folder:
        files: list[File] = []
        repricings = [each for commit in history.repricings() for each in commit]
        if repricings:
            write_repricings(folder / REPRICINGS, repricings)
            files.append(describe(folder, REPRICINGS, "repricings", len(repricings)))
        totals = Totals(repricings)
        for events in portions(history, EVENTS_A_FILE):
            totals.add(events)
            name = f"events-{len(files):06}.parquet"
            write_events(folder / name, events)
            files.append(describe(folder, name, "events", len(events)))
            progress(totals.events, history.events)
        control_rows = await _write_control(folder / CONTROL, database)
        files.append(describe(folder, CONTROL, "control", sum(control_rows.values())))
        if (data_dir / SECRET).exists():
            shutil.copyfile(data_dir / SECRET, folder / SECRET)
            files.append(describe(folder, SECRET, "secret", 0))
        manifest = Manifest(
            version=VERSION,
            tokenwatcher=version("tokenwatcher-server"),
            created_at=iso(now_us),
            schema=HEAD,
            events=totals.events,
            repricings=len(repricings),
            control_rows=control_rows,
            files=tuple(files),
            totals=totals.by_day(),
        )
        write_manifest(folder, manifest)
    noted = Entry(action="backup.make", object_kind="backup", object_name=str(target),
                  after={"events": manifest.events})  # fmt: skip
    async with database.transaction() as connection:
        await record(connection, actor, noted, now_us)
    return manifest


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name at the end of the block, durable and whole.

    Raises BackupRefused where there is something of that name already.
    """
    if target.is_dir() and any(target.iterdir()):
        raise BackupRefused(f"{target} is not empty: name a folder that is not there yet.")
    if target.exists() and not target.is_dir():
        raise BackupRefused(f"{target} is a file: name a folder that is not there yet.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))  # 0700
    try:
        yield draft
        for path in (*draft.rglob("*"), draft):
            _make_durable(path)
        draft.rename(target)  # takes the place of an empty folder too
        _make_durable(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def _write_control(path: Path, database: Database) -> dict[str, int]:
    rows: dict[str, int] = {}
    with path.open("wb") as file:
        async with database.long_reading() as connection:
            async for table, line in dump(connection):
                file.write(line + b"\n")
                if table is not None:
                    rows[table] = rows.get(table, 0) + 1
    return rows


def _make_durable(path: Path) -> None:
    if path.is_file():
        path.chmod(0o600)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

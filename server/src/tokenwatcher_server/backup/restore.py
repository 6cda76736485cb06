"""Restores a backup into an empty folder, and compares every total before it gets its name."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenwatcher_server.backup.make import CONTROL, new_folder
from tokenwatcher_server.backup.manifest import BackupRefused, Manifest, damage, read_manifest
from tokenwatcher_server.backup.totals import differences, totals_of
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.dump import DumpRefused, load
from tokenwatcher_server.events.store import EventStore, Stored
from tokenwatcher_server.stores import Progress
from tokenwatcher_server.stores.archive import read_events, read_repricings

OpenStore = Callable[[Path], Awaitable[EventStore]]
"""Opens the store in a folder."""
MOST_NAMED = 5
"""Of the differences between a backup and what was restored from it."""


async def restore(
    backup: Path,
    target: Path,
    *,
    open_store: OpenStore,
    actor: Actor,
    now_us: int,
    progress: Progress,
) -> Manifest:
    """Make a data folder of a backup: there whole, equal to the backup in every total, or not.

    Raises BackupRefused for a damaged or newer backup, and where the target is in use.
    """
    manifest = _sound(backup)
    with new_folder(target) as folder:
        await _fill(backup, manifest, folder, open_store, progress)
        await _note(folder, manifest, backup, actor, now_us)
    return manifest


async def check(
    backup: Path, *, scratch: Path | None, open_store: OpenStore, progress: Progress
) -> Manifest:
    """Prove a backup: restore it into a scratch folder, compare, and check the store's chain.

    `scratch` is where that folder is made, None for the system's own place for such.
    Raises BackupRefused where anything is not as the manifest says.
    """
    manifest = _sound(backup)
    with TemporaryDirectory(prefix="tokenwatcher-backup-", dir=scratch) as folder:
        await _fill(backup, manifest, Path(folder), open_store, progress)
        store = await open_store(Path(folder))
        try:
            found = await store.verify()
        finally:
            await store.close()
    if not found.sound:
        raise BackupRefused(f"What was restored is not sound: {'; '.join(found.faults)}.")
    return manifest


def _sound(backup: Path) -> Manifest:
    manifest = read_manifest(backup)
    if found := damage(backup, manifest.files):
        raise BackupRefused(f"{backup} is damaged: {_told(found)}.")
    return manifest


async def _fill(
    backup: Path, manifest: Manifest, folder: Path, open_store: OpenStore, progress: Progress
) -> None:
    for secret in manifest.of_kind("secret"):
        (folder / secret.name).write_bytes((backup / secret.name).read_bytes())
        (folder / secret.name).chmod(0o600)
    await _load_control(backup / CONTROL, folder)
    store = await open_store(folder)
    try:
        await _load_events(backup, manifest, store, progress)
        found = differences(manifest.totals, await totals_of(store, manifest.totals))
    finally:
        await store.close()
    if found:
        raise BackupRefused(f"What was restored is not what was backed up: {_told(found)}.")


async def _note(folder: Path, manifest: Manifest, backup: Path, actor: Actor, now_us: int) -> None:
    """Say in the restored audit log that it is a restored one."""
    entry = Entry(action="backup.restore", object_kind="backup", object_name=str(backup),
                  after={"createdAt": manifest.created_at})  # fmt: skip
    database = Database(control_url(None, folder))
    try:
        async with database.transaction() as connection:
            await record(connection, actor, entry, now_us)
    finally:
        await database.close()


async def _load_control(dump: Path, folder: Path) -> None:
    database = Database(control_url(None, folder))
    try:
        with dump.open("rb") as lines:
            await load(database, lines)
    except DumpRefused as error:
        raise BackupRefused(f"{dump}: {error}.") from None
    finally:
        await database.close()


async def _load_events(
    backup: Path, manifest: Manifest, store: EventStore, progress: Progress
) -> None:
    done = 0
    for file in manifest.of_kind("events"):
        for events in read_events(backup / file.name):
            [outcome] = await store.append([events])
            if outcome != Stored():
                raise BackupRefused(f"{file.name} holds an event twice: {outcome}.")
            done += len(events)
            progress(done, manifest.events)
    for file in manifest.of_kind("repricings"):
        for repricings in read_repricings(backup / file.name):
            await store.reprice(repricings)
    if done != manifest.events:
        raise BackupRefused(f"{backup} holds {done} events where it says {manifest.events}.")


def _told(found: list[str]) -> str:
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return "; ".join(found[:MOST_NAMED]) + more

"""Restores a backup into an empty place, and compares every total before it can be used.

A folder gets its name when it is whole. A database gets its control data last: without them no
server takes it for an instance.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from tokenwatcher_server.backup.make import CONTROL, new_folder
from tokenwatcher_server.backup.manifest import BackupRefused, Manifest, damage, read_manifest
from tokenwatcher_server.backup.place import Place, refuse_used
from tokenwatcher_server.backup.totals import differences, totals_of
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.dump import DumpRefused, load
from tokenwatcher_server.events.store import EventStore, Stored
from tokenwatcher_server.stores import Progress
from tokenwatcher_server.stores.archive import read_events, read_repricings

MOST_NAMED = 5
"""Of the differences between a backup and what was restored from it."""


async def restore(
    backup: Path,
    target: Place,
    *,
    actor: Actor,
    now_us: int,
    progress: Progress,
) -> Manifest:
    """Make an instance of a backup: there whole, equal to the backup in every total, or not.

    Raises BackupRefused for a damaged or newer backup, and where the target is in use.
    """
    manifest = _sound(backup)
    if target.database_url is not None:
        await refuse_used(target)
        await _fill(backup, manifest, target, progress)
        await note(target, "backup.restore", str(backup), manifest.created_at, actor, now_us)
        return manifest
    with new_folder(target.folder) as folder:
        draft = msgspec.structs.replace(target, folder=folder)
        _copy_secret(backup, manifest, folder)
        await _fill(backup, manifest, draft, progress)
        await note(draft, "backup.restore", str(backup), manifest.created_at, actor, now_us)
    return manifest


async def check(backup: Path, *, scratch: Path | None, progress: Progress) -> Manifest:
    """Prove a backup: restore it into a scratch folder, compare, and check the store's chain.

    `scratch` is where that folder is made, None for the system's own place for such.
    Raises BackupRefused where anything is not as the manifest says.
    """
    manifest = _sound(backup)
    with TemporaryDirectory(prefix="tokenwatcher-backup-", dir=scratch) as folder:
        place = Place(Path(folder))
        await _fill(backup, manifest, place, progress)
        store = await place.store()
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
        raise BackupRefused(f"{backup} is damaged: {told(found)}.")
    return manifest


async def _fill(backup: Path, manifest: Manifest, place: Place, progress: Progress) -> None:
    store = await place.store()
    try:
        if (await store.statistics())["events"]:
            raise BackupRefused(
                "There are events already where it is to be restored: name an empty place."
            )
        await _load_events(backup, manifest, store, progress)
        found = differences(manifest.totals, await totals_of(store, manifest.totals))
    finally:
        await store.close()
    if found:
        raise BackupRefused(f"What was restored is not what was backed up: {told(found)}.")
    with (backup / CONTROL).open("rb") as lines:
        try:
            await load_control(lines, place)
        except DumpRefused as error:
            raise BackupRefused(f"{backup / CONTROL}: {error}.") from None


def _copy_secret(backup: Path, manifest: Manifest, folder: Path) -> None:
    for secret in manifest.of_kind("secret"):
        (folder / secret.name).write_bytes((backup / secret.name).read_bytes())
        (folder / secret.name).chmod(0o600)


async def note(
    place: Place, action: str, source: str, as_of: str, actor: Actor, now_us: int
) -> None:
    """Say in the audit log of what was made that it was made of something else."""
    entry = Entry(action=action, object_kind="backup", object_name=source,
                  after={"createdAt": as_of})  # fmt: skip
    database = place.database()
    try:
        async with database.transaction() as connection:
            await record(connection, actor, entry, now_us)
    finally:
        await database.close()


async def load_control(lines: Iterable[bytes], place: Place) -> None:
    """Fill an empty control database. Raises DumpRefused."""
    database = place.database()
    try:
        await load(database, lines)
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


def told(found: list[str]) -> str:
    more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return "; ".join(found[:MOST_NAMED]) + more

"""Moves an instance to another place: every event and every row, compared by day before it is used.

1. Give the target the events commit by commit; those that are there already are recognised.
2. Give it the later costs, and compare what it holds with what was given, by workspace and day.
3. Give it the control data, in one transaction: only now it is an instance.

What was ended midway is begun again: a target without control data goes on where it was.
"""

import shutil
from contextlib import closing
from tempfile import TemporaryFile
from typing import Final

import msgspec

from tokenwatcher_server.access.secrets import FILE_NAME as SECRET
from tokenwatcher_server.backup.manifest import BackupRefused
from tokenwatcher_server.backup.place import Place, refuse_used
from tokenwatcher_server.backup.portions import portions
from tokenwatcher_server.backup.restore import load_control, note, told
from tokenwatcher_server.backup.totals import Totals, differences, totals_of
from tokenwatcher_server.control.audit import Actor
from tokenwatcher_server.control.dump import dump
from tokenwatcher_server.events.history import History
from tokenwatcher_server.events.store import EventStore, Stored
from tokenwatcher_server.kernel.clock import iso
from tokenwatcher_server.stores import Progress

EVENTS_AT_ONCE: Final = 2_000


class Moved(msgspec.Struct, frozen=True, rename="camel"):
    """What the target holds now."""

    events: int
    already_there: int
    """Events that an earlier try had brought."""
    days: int
    """Workspaces and days whose sums were compared."""
    control_rows: int


async def move(
    source: Place, target: Place, *, actor: Actor, now_us: int, progress: Progress
) -> Moved:
    """Copy an instance that no server runs on. Raises BackupRefused, and nothing is changed in it."""
    await refuse_used(target)
    if target.database_url is None:
        target.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = await target.store()
    try:
        with closing(source.history()) as history:
            totals, already_there = await _give_events(history, store, progress)
        expected = totals.by_day()
        found = differences(expected, await totals_of(store, expected))
        held = (await store.statistics())["events"]
    finally:
        await store.close()
    if found:
        raise BackupRefused(f"What arrived is not what was sent: {told(found)}.")
    if held != totals.events:
        raise BackupRefused(
            f"The target holds {held} events, and {totals.events} were sent: it is not empty."
        )
    rows = await _give_control(source, target)
    if target.database_url is None and (source.folder / SECRET).exists():
        shutil.copyfile(source.folder / SECRET, target.folder / SECRET)
        (target.folder / SECRET).chmod(0o600)
    await note(target, "store.migrate", "another place", iso(now_us), actor, now_us)
    return Moved(totals.events, already_there, len(expected), rows)


async def _give_events(
    history: History, store: EventStore, progress: Progress
) -> tuple[Totals, int]:
    repricings = [each for commit in history.repricings() for each in commit]
    totals = Totals(repricings)
    already_there = 0
    for events in portions(history, EVENTS_AT_ONCE):
        [outcome] = await store.append([events])
        if not isinstance(outcome, Stored):
            raise BackupRefused("The target holds other events under the same ids.")
        already_there += len(outcome.duplicates)
        totals.add(events)
        progress(totals.events, history.events)
    for start in range(0, len(repricings), EVENTS_AT_ONCE):
        await store.reprice(repricings[start : start + EVENTS_AT_ONCE])
    return totals, already_there


async def _give_control(source: Place, target: Place) -> int:
    database = source.database()
    rows = 0
    try:
        with TemporaryFile() as lines:
            async with database.long_reading() as connection:
                async for table, line in dump(connection):
                    lines.write(line + b"\n")
                    rows += table is not None
            lines.seek(0)
            await load_control(lines, target)
    finally:
        await database.close()
    return rows

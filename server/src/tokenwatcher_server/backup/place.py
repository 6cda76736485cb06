"""Where an instance's data lies: in a folder, or in databases."""

from pathlib import Path

import msgspec
from sqlalchemy import Connection, inspect, text

from tokenwatcher_server.backup.manifest import BackupRefused
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.events.history import History
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.stores import open_history, open_store


class Place(msgspec.Struct, frozen=True):
    """A folder, and what lies elsewhere."""

    folder: Path
    database_url: str | None = None
    events_url: str | None = None

    def database(self) -> Database:
        return Database(control_url(self.database_url, self.folder))

    def history(self) -> History:
        return open_history(self.events_url, self.folder)

    async def store(self) -> EventStore:
        return await open_store(self.events_url, self.folder, SystemClock())


async def refuse_used(place: Place) -> None:
    """Raises BackupRefused where there is control data: an instance lives there."""
    if place.database_url is None and not place.folder.exists():
        return
    named = str(place.folder) if place.database_url is None else "The database"
    database = place.database()
    try:
        async with database.reading() as connection:
            used = await connection.run_sync(_has_workspaces)
    except AppError as error:
        reason = getattr(error.__cause__, "orig", None) or error.__cause__
        raise BackupRefused(f"{named} can't be used: {reason}.") from None
    finally:
        await database.close()
    if used:
        raise BackupRefused(f"{named} holds an instance already: name a place that is empty.")


def _has_workspaces(connection: Connection) -> bool:
    if not inspect(connection).has_table("workspaces"):
        return False
    return bool(connection.execute(text("select count(*) from workspaces")).scalar_one())

"""Brings the control database to this version's schema; run at every start."""

from importlib.resources import files
from pathlib import Path
from sqlite3 import DatabaseError as SqliteDatabaseError
from typing import Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.database import FILE_NAME, Database
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused

_SQLITE_HEADER: Final = b"SQLite format 3\0"
HEAD: Final = "0007"
"""The newest migration; a test compares it with the files in `migrations/versions`."""


async def migrate(database: Database, *, thorough: bool = False) -> None:
    """Apply what is missing, in one transaction that a second process waits for.

    Raises InstanceRefused for a database that is damaged or can't be opened or written, or is of
    a newer version than this one. `thorough` reads every page of an SQLite file for that: a
    server would find the damage only when somebody needs what is there.
    """
    _check_header(database)
    try:
        async with database.reading() as connection:
            if thorough and database.url.startswith("sqlite"):
                await _check_pages(connection)
            version = await connection.run_sync(_version)
        if version == HEAD:
            return
        async with database.long_transaction() as connection:
            await connection.run_sync(upgrade, name=database.name)
    except AppError as error:
        reason = getattr(error.__cause__, "orig", None) or error.__cause__
        raise InstanceRefused(f"{database.name} can't be used: {reason}.") from None
    except (DatabaseError, SqliteDatabaseError) as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise _damaged() from None
        raise


def _check_header(database: Database) -> None:
    """Refuse what is no SQLite file before the driver opens it, as opening could change it."""
    if not database.url.startswith("sqlite"):
        return
    url = make_url(database.url)
    path = Path(url.database or "")
    if not url.database or not path.exists():
        return
    if not path.is_file():
        raise InstanceRefused(f"{FILE_NAME} in the data folder can't be used: it is not a file.")
    with path.open("rb") as file:
        header = file.read(len(_SQLITE_HEADER))
    if header and header != _SQLITE_HEADER:
        raise _damaged()


async def _check_pages(connection: AsyncConnection) -> None:
    if (await connection.execute(text("PRAGMA quick_check(1)"))).scalar() != "ok":
        raise _damaged()


def _damaged() -> InstanceRefused:
    return InstanceRefused(
        f"{FILE_NAME} in the data folder is damaged; nothing was touched. "
        "Put a copy of it from a backup in its place."
    )


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, revision: str = "head", name: str = FILE_NAME) -> None:
    """Apply what is missing up to a revision, in the transaction of a writer.

    Raises InstanceRefused for a database of a newer version, calling it by its `name`.
    """
    # imported here: it takes longer than all the rest of a start that has nothing to migrate
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(files(__package__) / "migrations"))
    version = _version(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise InstanceRefused(
            f"{name} was written by a newer TokenWatcher; nothing was "
            "touched. Run that version, or restore a backup made before it."
        )
    config.attributes["connection"] = connection
    command.upgrade(config, revision)

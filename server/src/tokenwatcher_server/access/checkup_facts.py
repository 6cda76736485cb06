"""Gathers what the check-up looks at: the settings, the database, and the files of the instance."""

import os
import platform
import sqlite3
import stat
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server import __version__
from tokenwatcher_server.access.checkup import Checkup, Facts, FilePermissions
from tokenwatcher_server.access.checkup_data import BACKUP_MARK, data_points
from tokenwatcher_server.access.checkup_door import door_points
from tokenwatcher_server.access.keys import KeyRecord, list_keys
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.tables import users
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.settings import Settings

MOST_FILES = 2000


async def check_up(
    settings: Settings,
    database: Database | None,
    now_us: int,
    *,
    violations: int | None = None,
) -> Checkup:
    """Look at everything; `database` is None where there is none yet."""
    answers, keys, hashes = await _read(database)
    facts = Facts(
        settings=settings,
        now_us=now_us,
        database_answers=answers,
        keys=keys,
        people=len(hashes),
        password_hashes=hashes,
        files=_files(settings.data_dir),
        backed_up_at=_backed_up_at(settings.data_dir),
        runs_as_root=os.geteuid() == 0,
        violations=violations,
        versions=(
            ("TokenWatcher", __version__),
            ("Python", platform.python_version()),
            ("SQLite", sqlite3.sqlite_version),
        ),
    )
    return Checkup((*door_points(facts), *data_points(facts)))


async def _read(
    database: Database | None,
) -> tuple[bool | None, tuple[KeyRecord, ...], tuple[str, ...]]:
    if database is None:
        return None, (), ()
    try:
        async with database.reading() as connection:
            return True, tuple(await list_keys(connection)), await _hash_methods(connection)
    except (AppError, SQLAlchemyError, OSError):
        return False, (), ()


async def _hash_methods(connection: AsyncConnection) -> tuple[str, ...]:
    rows = await connection.execute(select(users.c.password_hash))
    return tuple(str(kept)[:10] for kept in rows.scalars())


def _files(data_dir: Path) -> tuple[FilePermissions, ...]:
    """The folder and what is in it; a file that goes while it is looked at is none."""
    found = []
    for path in (data_dir, *sorted(data_dir.rglob("*"))[:MOST_FILES]):
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if path != data_dir and stat.S_IMODE(data_dir.stat().st_mode) & 0o077 == 0:
            break  # nobody else gets into the folder: what is in it is closed too
        name = "the data folder" if path == data_dir else path.relative_to(data_dir).as_posix()
        found.append(FilePermissions(name, stat.S_IMODE(mode)))
    return tuple(found)


def _backed_up_at(data_dir: Path) -> int | None:
    try:
        return (data_dir / BACKUP_MARK).stat().st_mtime_ns // 1000
    except OSError:
        return None

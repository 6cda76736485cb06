"""The control database comes to this version's schema, or is refused and left as it is."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from tokenwatcher_server.control import migrate as migrating
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import HEAD, migrate
from tokenwatcher_server.control.tables import metadata
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused, Kind

Result = TypeVar("Result")


def on(folder: Path, work: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        database = Database(control_url(None, folder))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async def work(database: Database) -> list[object]:
        await migrate(database)
        await migrate(database)
        async with database.reading() as connection:
            return await connection.run_sync(differences)

    assert on(tmp_path, work) == []


def test_head_is_the_newest_migration() -> None:
    folder = Path(migrating.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_a_database_of_a_newer_version_is_refused_and_untouched(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(InstanceRefused, match="newer"):
            await migrate(database)
        async with database.reading() as connection:
            found = await connection.execute(text("SELECT version_num FROM alembic_version"))
            assert found.scalar() == "9999"

    on(tmp_path, work)


def test_a_damaged_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_bytes(b"no database at all" * 500)
    with pytest.raises(InstanceRefused, match=r"control\.db"):
        on(tmp_path, migrate)


def test_a_database_that_cant_be_opened_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "control.db").mkdir()
    with pytest.raises(InstanceRefused, match=r"control\.db.*can't be used"):
        on(tmp_path, migrate)


def test_a_database_that_cant_be_written_now_says_so_and_keeps_answering(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        await database.close()
        reader = Database(f"sqlite+aiosqlite:///file:{tmp_path}/control.db?mode=ro&uri=true")
        with pytest.raises(AppError) as refused:
            await _insert_and_fail(reader)
        assert refused.value.kind is Kind.UNAVAILABLE
        assert refused.value.retry_after
        async with reader.reading() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        await reader.close()

    on(tmp_path, work)


def test_a_reader_neither_waits_for_a_writer_nor_sees_half_of_it(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        count = text("SELECT count(*) FROM workspaces")
        async with database.transaction() as writing:
            await writing.execute(
                text(
                    "INSERT INTO workspaces (id, name, slug, created_at) VALUES ('1', 'name', 'slug', 0)"
                )
            )
            async with asyncio.timeout(2), database.reading() as reading:
                assert (await reading.execute(count)).scalar() == 0
        async with database.reading() as reading:
            assert (await reading.execute(count)).scalar() == 1

    on(tmp_path, work)


def test_a_migration_that_fails_half_way_leaves_all_of_it_undone(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        async with database.transaction() as connection:
            await connection.run_sync(migrating.upgrade, "0002")
            await connection.execute(text("CREATE TABLE alert_rules (in_the_way INTEGER)"))
        with pytest.raises((AppError, InstanceRefused)):
            await migrate(database)
        async with database.transaction() as connection:
            found = await connection.execute(text("SELECT version_num FROM alembic_version"))
            assert found.scalar() == "0002"
            await connection.execute(text("DROP TABLE alert_rules"))
        await migrate(database)

    on(tmp_path, work)


def test_two_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from tokenwatcher_server.control.database import Database, control_url;"
        "from tokenwatcher_server.control.migrate import migrate;"
        "asyncio.run(migrate(Database(control_url(None, Path(sys.argv[1])))))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()


async def _insert_and_fail(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO workspaces (id, name, slug, created_at) VALUES ('1', 'name', 'slug', 0)"
            )
        )
        raise RuntimeError


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    async def work(database: Database) -> int | None:
        await migrate(database)
        with pytest.raises(RuntimeError):
            await _insert_and_fail(database)
        async with database.reading() as connection:
            return (await connection.execute(text("SELECT count(*) FROM workspaces"))).scalar()

    assert on(tmp_path, work) == 0

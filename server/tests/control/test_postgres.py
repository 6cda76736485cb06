"""Control data in PostgreSQL keeps what SQLite keeps, for several servers at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from server.tests.pgbouncer import PgBouncer
from server.tests.postgres_server import Postgres
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.control.tables import metadata
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused, Kind

Result = TypeVar("Result")


def on(url: str, work: Callable[[Database], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        database = Database(url)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """A server that a test may stop."""
    server = Postgres()
    yield server
    server.close()


async def write(database: Database, name: str, pause: float = 0) -> None:
    async with database.transaction() as connection:
        await asyncio.sleep(pause)
        entry = Entry(action="test.write", object_kind="test", object_name=name)
        await record(connection, Actor("command", "test"), entry, 1)


async def written(database: Database) -> int:
    async with database.reading() as connection:
        found = await connection.execute(text("select count(*) from audit_log"))
        return int(found.scalar_one())


def test_the_migrations_make_exactly_the_tables(postgres: Postgres) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async def work(database: Database) -> list[object]:
        await migrate(database)
        await migrate(database)
        async with database.reading() as connection:
            return await connection.run_sync(differences)

    assert on(postgres.new_database(), work) == []


def test_servers_that_start_at_once_migrate_once(postgres: Postgres) -> None:
    async def work(database: Database) -> int:
        others = [Database(database.url) for _ in range(4)]
        await asyncio.gather(*map(migrate, [database, *others]))
        for other in others:
            await other.close()
        return await written(database)

    assert on(postgres.new_database(), work) == 0


def test_a_database_of_a_newer_version_is_refused_by_its_variable(postgres: Postgres) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(
            InstanceRefused, match="DATABASE_URL: the database was written by a newer"
        ):
            await migrate(database)

    on(postgres.new_database(), work)


def test_an_entry_of_the_audit_log_can_not_be_changed(postgres: Postgres) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        await write(database, "one")
        for change in ("update audit_log set action = 'x'", "delete from audit_log"):
            with pytest.raises(DBAPIError, match="append-only"):
                async with database.transaction() as connection:
                    await connection.execute(text(change))

    on(postgres.new_database(), work)


def test_writers_of_several_servers_take_turns_and_readers_wait_for_none(
    postgres: Postgres,
) -> None:
    async def increment(database: Database) -> None:
        async with database.transaction() as connection:
            found = await connection.execute(text("select count(*) from audit_log"))
            entry = Entry(action="test", object_kind="test", object_name=str(found.scalar_one()))
            await record(connection, Actor("command", "test"), entry, 1)

    async def work(database: Database) -> list[str]:
        await migrate(database)
        other = Database(database.url)
        slow = asyncio.create_task(write(database, "slow", pause=0.5))
        await asyncio.sleep(0.1)
        assert await written(other) == 0
        assert not slow.done()
        await slow
        await asyncio.gather(*[increment(each) for each in (database, other) * 10])
        await other.close()
        async with database.reading() as connection:
            rows = await connection.execute(text("select object_name from audit_log"))
            return sorted(row[0] for row in rows)

    names = [*map(str, range(1, 21)), "slow"]
    assert on(postgres.new_database(), work) == sorted(names)


def test_a_server_that_is_away_is_answered_503_and_used_again_once_it_is_back(
    own_server: Postgres,
) -> None:
    async def work(database: Database) -> None:
        await migrate(database)
        await write(database, "before")
        own_server.restart()
        assert await written(database) == 1
        own_server.cut_connections()
        await write(database, "after a cut")
        own_server.stop()
        for attempt in (written(database), write(database, "away")):
            with pytest.raises(AppError) as refused:
                await attempt
            assert refused.value.kind is Kind.UNAVAILABLE
        own_server.start()
        await write(database, "back")
        assert await written(database) == 3

    on(own_server.new_database(), work)


def test_it_works_through_pgbouncer_in_transaction_mode(postgres: Postgres) -> None:
    with PgBouncer(postgres, postgres.new_database()) as bouncer:

        async def work(database: Database) -> int:
            await migrate(database)
            await asyncio.gather(*[write(database, str(number)) for number in range(30)])
            return await written(database)

        assert on(bouncer.url, work) == 30


def test_a_server_that_does_not_answer_is_named_by_its_variable_without_its_password() -> None:
    async def work(database: Database) -> None:
        with pytest.raises(InstanceRefused, match="DATABASE_URL") as refused:
            await migrate(database)
        assert "top-secret" not in str(refused.value)

    on("postgresql://nobody:top-secret@127.0.0.1:1/none", work)

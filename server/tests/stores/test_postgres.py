"""What the store in PostgreSQL promises beyond what every store does."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.tests.pgbouncer import PgBouncer
from server.tests.postgres_server import Postgres
from server.tests.stores.conftest import Cast, Opened
from tokenwatcher_server.events.store import (
    Conflict,
    EventStore,
    Stored,
    StoreRefused,
    StoreUnavailable,
)
from tokenwatcher_server.kernel.clock import DAY_US, FrozenClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.postgres import migrate as migrating
from tokenwatcher_server.stores.postgres.dialect import bindings, postgres_dialect
from tokenwatcher_server.stores.sql import events_where

SERVERS = 4


async def opened_by_several(url: str, now_us: int) -> list[EventStore]:
    clock = FrozenClock(now_us)
    return list(await asyncio.gather(*[open_store(url, Path(), clock) for _ in range(SERVERS)]))


def test_head_is_the_newest_migration() -> None:
    versions = (Path(migrating.__file__).parent / "migrations" / "versions").glob("[0-9]*.py")
    assert max(path.name[:4] for path in versions) == migrating.HEAD


def test_servers_that_start_at_once_make_the_tables_once(cast: Cast, postgres: Postgres) -> None:
    async def work() -> list[Any]:
        stores = await opened_by_several(postgres.new_database(), cast.noon)
        outcomes = [await store.append([[cast.event()]]) for store in stores]
        [[row]] = await stores[0].usage([cast.query("calls")])
        await asyncio.gather(*[store.close() for store in stores])
        return [outcomes, row.values]

    assert asyncio.run(work()) == [[[Stored()]] * SERVERS, (SERVERS,)]


def test_the_same_events_sent_to_several_servers_at_once_count_once(
    cast: Cast, postgres: Postgres
) -> None:
    batches = [
        [cast.event(occurred_at=cast.noon + at * DAY_US, tags={"n": str(at)}) for at in range(40)]
        for _ in range(10)
    ]

    async def work() -> Any:
        stores = await opened_by_several(postgres.new_database(), cast.noon)
        sent = [store.append([batch]) for batch in batches for store in stores]
        outcomes = [outcome for [outcome] in await asyncio.gather(*sent)]
        [[row]] = await stores[0].usage([cast.query("calls", "cost")])
        found = await stores[0].verify()
        await asyncio.gather(*[store.close() for store in stores])
        return outcomes, row.values, found.faults

    outcomes, values, faults = asyncio.run(work())
    assert sum(len(outcome.duplicates) for outcome in outcomes) == 400 * (SERVERS - 1)
    assert values == (400, 400 * 3_000)
    assert faults == ()


def test_of_two_contents_under_one_id_one_server_stores_and_the_other_refuses(
    cast: Cast, postgres: Postgres
) -> None:
    async def work() -> tuple[list[Any], Any]:
        stores = await opened_by_several(postgres.new_database(), cast.noon)
        events = [cast.event(id="the-same-id", user_id=str(n)) for n in range(SERVERS)]
        sent = [store.append([[event]]) for store, event in zip(stores, events, strict=True)]
        outcomes = [outcome for [outcome] in await asyncio.gather(*sent)]
        [[row]] = await stores[0].usage([cast.query("calls")])
        await asyncio.gather(*[store.close() for store in stores])
        return outcomes, row.values

    outcomes, values = asyncio.run(work())
    assert outcomes.count(Stored()) == 1
    assert outcomes.count(Conflict((0,))) == SERVERS - 1
    assert values == (1,)


def test_it_works_through_pgbouncer_in_transaction_mode(
    cast: Cast, postgres: Postgres, tmp_path: Path
) -> None:
    with PgBouncer(postgres, postgres.new_database()) as bouncer:

        async def work(store: EventStore) -> Any:
            sent = [store.append([[cast.event(tags={"n": str(n)})]]) for n in range(30)]
            await asyncio.gather(*sent)
            [rows] = await store.usage([cast.query("calls", group_by=cast.by("tag:n"))])
            listed = await store.events(cast.list())
            assert (await store.verify()).faults == ()
            return len(rows), len(listed)

        assert Opened(tmp_path, cast.noon, bouncer.url).run(work) == (30, 30)


@pytest.mark.slow
def test_what_waits_too_long_for_others_is_ended_in_the_database_too(
    cast: Cast, postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.new_database()
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"

    async def work(store: EventStore) -> tuple[Any, str]:
        await store.append([[cast.event()]])
        other = await asyncpg.connect(url)
        await other.execute("begin; lock table hours in share row exclusive mode")
        with pytest.raises(StoreUnavailable):
            await store.append([[cast.event()]])
        left = postgres.sql(waiting, url).strip()
        await other.close()
        assert await store.append([[cast.event()]]) == [Stored()]
        [[row]] = await store.usage([cast.query("calls")])
        return row.values, left

    assert Opened(tmp_path, cast.noon, url).run(work) == ((2,), "0")


def test_each_month_has_a_table_that_its_questions_alone_read(
    cast: Cast, postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.new_database()
    months = [cast.event(occurred_at=cast.noon + n * 31 * DAY_US) for n in range(3)]
    Opened(tmp_path, cast.noon, url).run(lambda store: store.append([months]))
    tables = "select count(*) from pg_inherits where inhparent = 'events'::regclass"
    assert int(postgres.sql(tables, url)) == 3
    plan = postgres.sql(
        f"explain select * from events where occurred_at >= {cast.noon}"
        f" and occurred_at < {cast.noon + DAY_US}",
        url,
    )
    assert plan.count("events_2026_") == plan.count("events_2026_05") > 0


def test_a_later_page_of_a_list_is_found_by_the_index(
    cast: Cast, postgres: Postgres, tmp_path: Path
) -> None:
    url, bound = postgres.new_database(), bindings()
    Opened(tmp_path, cast.noon, url).run(lambda store: store.append([[cast.event()]]))
    where = events_where(cast.list(before=(cast.noon, "x")), postgres_dialect(), bound)

    async def plan() -> str:
        connection = await asyncpg.connect(url)
        await connection.execute("set enable_seqscan = off")
        rows = await connection.fetch(f"explain select id from events where {where}", *bound.values)
        await connection.close()
        return "\n".join(row[0] for row in rows)

    [condition] = [line for line in asyncio.run(plan()).splitlines() if "Index Cond" in line]
    assert f"occurred_at <= '{cast.noon}'" in condition


def test_tables_of_a_newer_version_are_refused_and_untouched(
    cast: Cast, postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.new_database()
    opened = Opened(tmp_path, cast.noon, url)
    opened.run(lambda store: store.append([[cast.event()]]))
    postgres.sql("update event_store_version set version_num = '9999'", url)
    with pytest.raises(StoreRefused, match="newer"):
        opened.run(lambda store: store.ready())
    assert postgres.sql("select count(*) from events", url).strip() == "1"


@pytest.mark.parametrize("wrong", ["postgres:1/none", "127.0.0.1:{port}/there_is_none"])
def test_a_database_that_is_not_there_is_refused_by_its_variable_without_its_password(
    cast: Cast, postgres: Postgres, tmp_path: Path, wrong: str
) -> None:
    url = f"postgresql://postgres:top-secret@{wrong.format(port=postgres.port)}"
    with pytest.raises(StoreRefused, match="EVENTS_URL") as refused:
        Opened(tmp_path, cast.noon, url).run(lambda store: store.ready())
    assert "top-secret" not in str(refused.value)

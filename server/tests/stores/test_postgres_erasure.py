"""PostgreSQL's erasure goes on where it was ended, and leaves no row that names what is gone."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.tests.postgres_server import Postgres
from server.tests.stores.conftest import Cast
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.store import Stored
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.postgres.erasing import AT_ONCE

TABLES = ("events", "event_ids", "event_answers", "event_repricings", "event_erased", "tag_hours")
HERS = Erasure(workspaces=(Cast.alice,), fate="remove", user="ann")


async def rows_that_hold(url: str, *words: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    found = {}
    for table in TABLES:
        for word in words:
            found[table] = await connection.fetchval(
                f"select count(*) from {table} as one where strpos(one::text, $1) > 0", word
            )
    await connection.close()
    return {table: count for table, count in found.items() if count}


def test_no_row_names_what_was_erased(postgres: Postgres, cast: Cast, tmp_path: Path) -> None:
    url = postgres.new_database()

    async def scenario() -> None:
        store = await open_store(url, tmp_path, FrozenClock(cast.noon))
        events = [
            cast.event(id=f"ann-named-{number}", user_id="ann", tags={"who": "ann"})
            for number in range(20)
        ]
        await store.append([[*events, cast.event(user_id="ben", tags={"who": "ben"})]])
        assert (await rows_that_hold(url, "ann")).keys() == {"events", "event_ids", "tag_hours"}
        assert await store.erase([HERS]) == [20]
        assert await rows_that_hold(url, "ann") == {}
        await store.close()

    asyncio.run(scenario())


@pytest.mark.slow
def test_two_servers_erase_at_once_and_one_is_cut_off(
    postgres: Postgres, cast: Cast, tmp_path: Path
) -> None:
    """More events than one transaction takes."""
    url = postgres.new_database()

    async def scenario() -> None:
        clock = FrozenClock(cast.noon)
        stores = [await open_store(url, tmp_path, clock) for _ in range(2)]
        hers = [cast.event(user_id="ann") for _ in range(2 * AT_ONCE + 7)]
        his = [cast.event(user_id="ben") for _ in range(10)]
        for start in range(0, len(hers), 2_500):
            await stores[0].append([hers[start : start + 2_500]])
        await stores[0].append([his])
        erasing = [asyncio.create_task(store.erase([HERS])) for store in stores]
        while await _left(stores[1]) == len(hers) + len(his):
            pass
        erasing[0].cancel()
        await asyncio.gather(*erasing, return_exceptions=True)
        await stores[1].erase([HERS])
        for store in stores:
            assert (await store.statistics())["events"] == len(his)
            verified = await store.verify()
            assert verified.sound, verified.faults
            assert await store.append([hers[:50] + his]) == [Stored(frozenset(range(60)))]
            await store.close()

    asyncio.run(scenario())


async def _left(store: Any) -> int:
    return int((await store.statistics())["events"])

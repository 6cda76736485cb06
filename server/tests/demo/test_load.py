"""The history goes through the real pipeline, and all of it arrives."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenwatcher_server.demo.company import PROJECTS
from tokenwatcher_server.demo.history import Plan
from tokenwatcher_server.demo.load import load_history
from tokenwatcher_server.events.query import Dimension, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import FrozenClock, to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import last_days
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.stores import open_store

END_US = to_us(datetime(2026, 11, 19, 16, 30, tzinfo=UTC))
WORKSPACE = WorkspaceId("the-workspace")
SIZE = 12_345


def plan(events: int = SIZE) -> Plan:
    return Plan(
        events=events,
        end_us=END_US,
        workspace_id=WORKSPACE,
        projects={project.slug: ProjectId(project.slug) for project in PROJECTS},
    )


async def count(store: EventStore, *group_by: Dimension) -> Sequence[UsageRow]:
    query = UsageQuery(
        scope=Scope((WORKSPACE,)),
        period=last_days(90, END_US),
        measures=("calls", "unpriced", "cost"),
        group_by=group_by,
    )
    (rows,) = await store.usage([query])
    return rows


def test_load_stores_exactly_the_planned_events(tmp_path: Path) -> None:
    async def load() -> None:
        store = await open_store(None, tmp_path, FrozenClock(END_US))
        told: list[int] = []
        await load_history(plan(), store, PriceBook(), told.append)
        (whole,) = await count(store)
        assert whole.values[0] == SIZE == sum(told)
        assert (await store.statistics())["events"] == SIZE
        await store.close()

    asyncio.run(load())


def test_an_interrupted_load_is_taken_up_without_storing_twice(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_stored: int) -> None:
        raise Interrupted

    async def load() -> None:
        store = await open_store(None, tmp_path, FrozenClock(END_US))
        with pytest.raises(Interrupted):
            await load_history(plan(), store, PriceBook(), interrupt)
        (whole,) = await count(store)
        assert 0 < (whole.values[0] or 0) < SIZE
        await load_history(plan(), store, PriceBook(), lambda _: None)
        (whole,) = await count(store)
        assert whole.values[0] == SIZE
        await store.close()

    asyncio.run(load())


def test_only_the_companys_own_model_has_no_price(tmp_path: Path) -> None:
    async def load() -> None:
        store = await open_store(None, tmp_path, FrozenClock(END_US))
        await load_history(plan(), store, PriceBook(), lambda _: None)
        rows = await count(store, Dimension("provider"))
        await store.close()
        unpriced = {row.group[0] for row in rows if row.values[1]}
        assert unpriced == {"self-hosted"}
        assert all(row.values[2] for row in rows if row.group[0] != "self-hosted")

    asyncio.run(load())


def test_nothing_to_load_stores_nothing(tmp_path: Path) -> None:
    async def load() -> None:
        store = await open_store(None, tmp_path, FrozenClock(END_US))
        await load_history(plan(0), store, PriceBook(), lambda _: None)
        assert (await store.statistics())["events"] == 0
        await store.close()

    asyncio.run(load())

"""The task that evaluates: once for many events, on its clock however busy, and none for all."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.tests.alerts.evening import CAST, Evening
from tokenwatcher_server.alerts import watch as watching
from tokenwatcher_server.alerts.outbox import list_deliveries
from tokenwatcher_server.alerts.rules import save_rule, standings
from tokenwatcher_server.alerts.watch import MOST_APART, Watch
from tokenwatcher_server.events.query import UsageQuery, UsageRow
from tokenwatcher_server.kernel.ids import WorkspaceId

NOON = "2026-11-10T12:00:00"
Look = Callable[[Sequence[UsageQuery]], Awaitable[None]]


class Seen:
    """The store of an evening, with a look at each question before and after it is answered."""

    def __init__(self, evening: Evening, before: Look | None = None, after: Look | None = None):
        self._store, self._before, self._after = evening.store, before, after

    async def usage(self, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
        if self._before is not None:
            await self._before(queries)
        found = await self._store.usage(queries)
        if self._after is not None:
            await self._after(queries)
        return [list(rows) for rows in found]


def watch_with(evening: Evening, store: Any) -> Watch:
    return Watch(evening.database, store, evening.clock, evening.deliveries, 3_600)


async def add_rule(evening: Evening, rule_id: str, workspace_id: str | None = None) -> None:
    changed = {"id": rule_id, "workspace_id": workspace_id or evening.workspace.id}
    async with evening.database.transaction() as connection:
        await save_rule(connection, evening.rule_with(**changed))


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110 - it is somebody else's
            await asyncio.sleep(0.01)


def test_many_events_at_once_are_one_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "GATHER_SECONDS", 0.2)
    asked: list[int] = []

    async def note(queries: Sequence[UsageQuery]) -> None:
        asked.append(len(queries))

    async def work() -> None:
        async with Evening(tmp_path, NOON) as evening:
            await add_rule(evening, "second")
            watch = watch_with(evening, Seen(evening, before=note))
            running = asyncio.create_task(watch.run())
            for _ in range(100):
                watch.touched(evening.workspace.id)
                await asyncio.sleep(0)
            await until(lambda: bool(asked))
            await asyncio.sleep(0.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(work())
    assert asked == [2]


def test_a_busy_workspace_does_not_stop_the_clock_of_a_quiet_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(watching, "TICK_SECONDS", 0.3)
    looked_at: set[WorkspaceId] = set()

    async def note(queries: Sequence[UsageQuery]) -> None:
        looked_at.update(workspace for query in queries for workspace in query.scope.workspaces)

    async def work() -> None:
        async with Evening(tmp_path, NOON) as evening:
            quiet = await evening.another_workspace()
            await add_rule(evening, "quiet", quiet)
            watch = watch_with(evening, Seen(evening, before=note))

            async def keep_busy() -> None:
                while True:
                    watch.touched(evening.workspace.id)
                    await asyncio.sleep(0.005)

            tasks = [asyncio.create_task(watch.run()), asyncio.create_task(keep_busy())]
            await until(lambda: quiet in looked_at)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(work())


def test_a_rule_that_can_not_be_measured_silences_no_other(tmp_path: Path) -> None:
    async def fail(queries: Sequence[UsageQuery]) -> None:
        if any(query.scope.projects for query in queries):
            raise RuntimeError("too dear to answer")

    async def work() -> None:
        async with Evening(tmp_path, NOON) as evening:
            async with evening.database.transaction() as connection:
                bad = evening.rule_with(id="bad", project_id=CAST.shop)
                await save_rule(connection, bad)
            await evening.append(99, when=NOON)
            watch = watch_with(evening, Seen(evening, before=fail))
            assert await watch.evaluate() == 1
            assert [alert.rule_id for alert in await evening.told()] == ["r"]

    asyncio.run(work())


def test_an_older_measurement_resolves_nothing_that_a_newer_one_told(tmp_path: Path) -> None:
    """One process is slow to decide on what it measured; another tells meanwhile."""

    async def work() -> None:
        async with Evening(tmp_path, NOON) as evening:
            await evening.append(9, when=NOON)

            async def another_tells(_queries: Sequence[UsageQuery]) -> None:
                await evening.append(1, when=NOON)
                assert await evening.watch.evaluate() == 1

            slow = watch_with(evening, Seen(evening, after=another_tells))
            assert await slow.evaluate() == 0
            assert [alert.state for alert in await evening.told()] == ["triggered"]

    asyncio.run(work())


def test_two_that_decide_the_same_at_once_tell_it_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with Evening(tmp_path, NOON) as evening:
            await evening.append(10, when=NOON)
            both = asyncio.Barrier(2)

            async def together(_queries: Sequence[UsageQuery]) -> None:
                await both.wait()

            pair = [watch_with(evening, Seen(evening, after=together)) for _ in range(2)]
            made = await asyncio.gather(*(one.evaluate() for one in pair))
            assert sorted(made) == [0, 1]
            async with evening.database.reading() as connection:
                assert len((await standings(connection, ["r"]))["r"]) == 1

    asyncio.run(work())


def test_many_users_who_pass_at_once_are_no_storm(tmp_path: Path) -> None:
    many = 4 * MOST_APART

    async def work() -> None:
        async with Evening(tmp_path, NOON, type="user_daily_cost", threshold=5) as evening:
            await evening.add_channel()
            for number in range(many):
                await evening.append(5 + number, when=NOON, user_id=f"user-{number}")
            assert await evening.watch.evaluate() == many
            told = await evening.told(limit=many)
            assert {alert.subject for alert in told} == {f"user-{n}" for n in range(many)}
            async with evening.database.reading() as connection:
                sent = await list_deliveries(connection, [evening.workspace.id], many)
            assert {one.alert.subject for one in sent} == {
                f"user-{number}" for number in range(many - MOST_APART, many)
            }
            assert sum(one.alert.others for one in sent) == many - MOST_APART
            assert await evening.watch.evaluate() == 0

    asyncio.run(work())

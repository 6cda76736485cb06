"""What the dashboard and an alert wait for, on stores of two sizes."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.client import Client
from bench.instance import running, server_command
from bench.row import Row
from bench.scale import Bench, millions
from bench.stores import Filled, filled
from tokenwatcher_server.events.query import Dimension, Filter, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import day_of, one_day
from tokenwatcher_server.stores import open_store

STATS = "/api/stats?days=30&tagKey=feature"
NEWEST = "/api/events?limit=50"
ALERT_PROJECT, ALERT_MODEL = "document-summaries", "gpt-5-2025-08-07"


def measure_small(bench: Bench, folder: Path) -> list[Row]:
    with _asked(bench, folder) as median:
        return [_stats(folder, median(STATS), 60)]


def measure_large(bench: Bench, folder: Path) -> list[Row]:
    with _asked(bench, folder) as median:
        stats = _stats(folder, median(STATS), 250)
        newest = Row(
            figure=f"newest 50 events, {millions(filled(folder).events)} events",
            measured=median(NEWEST),
            unit="ms",
            better="lower",
            target=15,
        )
    return [stats, newest, _alert_sum(bench, folder)]


def _stats(folder: Path, milliseconds: float, target: float) -> Row:
    return Row(
        figure=f"/api/stats?days=30, all fields, {millions(filled(folder).events)} events",
        measured=milliseconds,
        unit="ms",
        better="lower",
        target=target,
    )


def _alert_sum(bench: Bench, folder: Path) -> Row:
    """Asked of the store itself, as the alerts' own loop does."""
    held = filled(folder)
    return Row(
        figure=f"an alert's sum (one project, one model, today), {millions(held.events)} events",
        measured=asyncio.run(_alert_milliseconds(folder, held, bench.scale.repeats)),
        unit="ms",
        better="lower",
        target=5,
    )


@contextmanager
def _asked(bench: Bench, folder: Path) -> Iterator[Callable[[str], float]]:
    """A server on the folder; the function inside gives the median time of a path's answers."""
    with running(folder, server_command(bench)) as server:
        client = Client(server.port, filled(folder).read_key)

        def median(path: str) -> float:
            client.milliseconds(path)  # warms what stays warm
            return statistics.median(client.milliseconds(path) for _ in range(bench.scale.repeats))

        yield median


async def _alert_milliseconds(folder: Path, held: Filled, repeats: int) -> float:
    clock = SystemClock()
    store = await open_store(None, folder, clock)
    try:
        query = _alert_query(held, clock.now_us())
        await _milliseconds(store, query)
        return statistics.median([await _milliseconds(store, query) for _ in range(repeats)])
    finally:
        await store.close()


def _alert_query(held: Filled, now_us: int) -> UsageQuery:
    return UsageQuery(
        scope=Scope((WorkspaceId(held.workspace_id),), (ProjectId(held.projects[ALERT_PROJECT]),)),
        period=one_day(day_of(now_us)),
        measures=("cost",),
        filters=(Filter(Dimension("model"), (ALERT_MODEL,)),),
    )


async def _milliseconds(store: EventStore, query: UsageQuery) -> float:
    began = time.perf_counter()
    await store.usage([query])
    return (time.perf_counter() - began) * 1000

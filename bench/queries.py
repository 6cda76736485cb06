"""What the dashboard and an alert wait for, on stores of two sizes."""

import asyncio
import statistics
import time
from pathlib import Path

from bench.client import Client
from bench.instance import make_key, running, server_command
from bench.row import Row
from bench.scale import Bench, millions
from bench.stores import Filled, read_marker
from tokenwatcher_server.events.query import Dimension, Filter, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import day_of, one_day
from tokenwatcher_server.stores import open_store

STATS = "/api/stats?days=30&tagKey=feature"
NEWEST = "/api/events?limit=50"
ALERT_PROJECT, ALERT_MODEL = "document-summaries", "gpt-5-2025-08-07"


def measure_stats(bench: Bench, folder: Path, target: float) -> Row:
    filled = _filled(folder)
    return Row(
        figure=f"/api/stats?days=30, all fields, {millions(filled.events)} events",
        measured=_over_http(bench, folder, STATS),
        unit="ms",
        better="lower",
        target=target,
    )


def measure_newest(bench: Bench, folder: Path) -> Row:
    filled = _filled(folder)
    return Row(
        figure=f"newest 50 events, {millions(filled.events)} events",
        measured=_over_http(bench, folder, NEWEST),
        unit="ms",
        better="lower",
        target=15,
    )


def measure_alert_sum(bench: Bench, folder: Path) -> Row:
    """Asked of the store itself, as the alerts' own loop does."""
    filled = _filled(folder)
    return Row(
        figure=f"an alert's sum (one project, one model, today), {millions(filled.events)} events",
        measured=asyncio.run(_alert_milliseconds(folder, filled, bench.scale.repeats)),
        unit="ms",
        better="lower",
        target=5,
    )


def _filled(folder: Path) -> Filled:
    filled = read_marker(folder)
    if filled is None:
        raise RuntimeError(f"{folder} holds no store of ours")
    return filled


def _over_http(bench: Bench, folder: Path, path: str) -> float:
    """The median over one connection; the first answer warms what stays warm."""
    read_key = make_key(folder, "read")
    with running(folder, server_command(bench)) as server:
        client = Client(server.port, read_key)
        client.milliseconds(path)
        return statistics.median(client.milliseconds(path) for _ in range(bench.scale.repeats))


async def _alert_milliseconds(folder: Path, filled: Filled, repeats: int) -> float:
    clock = SystemClock()
    store = await open_store(None, folder, clock)
    try:
        query = _alert_query(filled, clock.now_us())
        await _milliseconds(store, query)
        return statistics.median([await _milliseconds(store, query) for _ in range(repeats)])
    finally:
        await store.close()


def _alert_query(filled: Filled, now_us: int) -> UsageQuery:
    return UsageQuery(
        scope=Scope(
            (WorkspaceId(filled.workspace_id),), (ProjectId(filled.projects[ALERT_PROJECT]),)
        ),
        period=one_day(day_of(now_us)),
        measures=("cost",),
        filters=(Filter(Dimension("model"), (ALERT_MODEL,)),),
    )


async def _milliseconds(store: EventStore, query: UsageQuery) -> float:
    began = time.perf_counter()
    await store.usage([query])
    return (time.perf_counter() - began) * 1000

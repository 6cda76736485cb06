"""Durable events a second over real HTTP, and how long an acknowledgement takes."""

from pathlib import Path

import msgspec

from bench import limits
from bench.instance import SERVE_WITHOUT_STORING, Server, running, server_command
from bench.load import Load, LoadResult, apply
from bench.memory import watched
from bench.row import Limit, Row
from bench.scale import Bench, millions
from bench.stores import filled, new_store

LONGEST_SECONDS = 600.0
BATCH_CONNECTIONS, BATCH = 8, 100
SINGLE_CONNECTIONS = 64


def measure_batches(bench: Bench) -> list[Row]:
    """Fill an empty store by batches; also says how much memory that takes at most."""
    folder = new_store(bench, "batches")
    load = Load(
        port=0,
        key=filled(folder).key,
        connections=BATCH_CONNECTIONS,
        batch=BATCH,
        events=bench.scale.batched,
        seconds=LONGEST_SECONDS,
    )
    with running(folder, server_command(bench)) as server, watched(server.pid) as peak:
        result = _apply(load, server)
        _check_stored(result, server)
    journal = limits.bare_journal(folder, bench.scratch, bench.scale.limits)
    columns = limits.bare_columns(folder, bench.scratch, bench.scale.limits)
    return [
        Row(
            figure="durable events/s, batches of 100, 8 connections",
            measured=result.rate,
            unit="events/s",
            better="higher",
            target=30_000,
            least_ratio=0.3,
            limits=(
                Limit("bare journal, same groups", journal),
                Limit("bare DuckDB, same segments", columns),
                Limit("same server without storing", _without_storing(bench, load)),
            ),
        ),
        Row(
            figure=f"peak memory while ingesting {millions(bench.scale.batched)}",
            measured=peak.mb,
            unit="MB",
            better="lower",
            target=600,
        ),
    ]


def measure_singles(bench: Bench) -> list[Row]:
    folder = new_store(bench, "singles")
    load = _single_load(folder, bench.scale.single)
    with running(folder, server_command(bench)) as server:
        result = _apply(load, server)
        _check_stored(result, server)
    journal = limits.bare_journal(folder, bench.scratch, bench.scale.limits)
    return [
        Row(
            figure="durable events/s, single events, 64 connections",
            measured=result.rate,
            unit="events/s",
            better="higher",
            target=4000,
            limits=(
                Limit("bare journal, same groups", journal),
                Limit("same server without storing", _without_storing(bench, load)),
            ),
        ),
        *_latencies(result, worst_target=None),
    ]


def measure_singles_on(bench: Bench, folder: Path, held: int) -> list[Row]:
    """Single events on a store that already holds many, through checkpoints and all."""
    load = _single_load(folder, bench.scale.single_on_large)
    with running(folder, server_command(bench)) as server:
        result = _apply(load, server)
    place = f"{millions(held)} in place"
    rate = Row(
        figure=f"{millions(result.acknowledged)} single events with {place}",
        measured=result.rate,
        unit="events/s",
        better="higher",
        target=4000,
    )
    return [rate, *_latencies(result, worst_target=250, note=place)]


def _single_load(folder: Path, events: int) -> Load:
    return Load(
        port=0,
        key=filled(folder).key,
        connections=SINGLE_CONNECTIONS,
        batch=1,
        events=events,
        seconds=LONGEST_SECONDS,
    )


def _latencies(result: LoadResult, *, worst_target: float | None, note: str = "") -> list[Row]:
    figures = (("median", result.p50_ms, None), ("p99", result.p99_ms, 30.0),
               ("worst", result.worst_ms, worst_target))  # fmt: skip
    return [
        Row(
            figure=f"acknowledgement of a single event, {name}",
            measured=milliseconds,
            unit="ms",
            better="lower",
            target=target,
            note=note,
        )
        for name, milliseconds, target in figures
    ]


def _without_storing(bench: Bench, load: Load) -> float:
    folder = new_store(bench, "without-storing")
    with running(folder, SERVE_WITHOUT_STORING) as server:
        own = Load(
            port=server.port,
            key=filled(folder).key,
            connections=load.connections,
            batch=load.batch,
            events=min(load.events, bench.scale.limits),
            seconds=LONGEST_SECONDS,
        )
        return apply(own).rate


def _apply(load: Load, server: Server) -> LoadResult:
    result = apply(msgspec.structs.replace(load, port=server.port))
    if result.refused:
        raise RuntimeError(f"{result.refused} events were refused: {result.first_refusal}")
    return result


def _check_stored(result: LoadResult, server: Server) -> None:
    """What was acknowledged is what the server counts as stored, or the figure is worthless."""
    stored = server.metrics()['tokenwatcher_events_total{outcome="stored"}']
    if stored != result.acknowledged:
        raise RuntimeError(f"{result.acknowledged} were acknowledged, {stored:.0f} stored")

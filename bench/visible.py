"""From an acknowledgement to the event's being in the answer of a query."""

import time
from pathlib import Path

from bench.client import Client
from bench.ingest import BATCH, BATCH_CONNECTIONS
from bench.instance import Server, running, server_command
from bench.load import Load, RunningLoad
from bench.row import Row
from bench.scale import Bench
from bench.stores import filled

PAUSE_SECONDS = 0.1


def measure(bench: Bench, folder: Path) -> list[Row]:
    keys = filled(folder)
    with running(folder, server_command(bench)) as server:
        probe = _Probe(server, keys.key, keys.read_key)
        probe.milliseconds()  # the first one opens what later ones find open
        idle = [probe.milliseconds() for _ in range(bench.scale.repeats)]
        load = RunningLoad(
            Load(
                port=server.port,
                key=keys.key,
                connections=BATCH_CONNECTIONS,
                batch=BATCH,
                events=10**9,
                seconds=bench.scale.load_seconds,
                seed=12,
            )
        )
        time.sleep(min(2.0, bench.scale.load_seconds / 2))
        loaded: list[float] = []
        while not load.is_over():
            loaded.append(probe.milliseconds())
        result = load.result()
    return [
        Row(
            figure="from acknowledgement to visible, idle, worst",
            measured=max(idle),
            unit="ms",
            better="lower",
            target=50,
        ),
        Row(
            figure="from acknowledgement to visible, full load, worst",
            measured=max(loaded),
            unit="ms",
            better="lower",
            target=1000,
            note=f"{len(loaded)} probes, {result.rate:,.0f} events/s beside them",
        ),
    ]


class _Probe:
    """Sends an event of a model of its own, and asks for that model's events at once."""

    def __init__(self, server: Server, key: str, read_key: str) -> None:
        self._sender = Client(server.port, key)
        self._reader = Client(server.port, read_key)

    def milliseconds(self) -> float:
        time.sleep(PAUSE_SECONDS)
        model = f"probe-{time.time_ns()}"
        event = {"provider": "bench", "model": model, "projectSlug": "search",
                 "inputTokens": 1, "outputTokens": 1}  # fmt: skip
        sent = self._sender.post("/api/ingest", event)
        began = time.perf_counter()
        found = self._reader.get(f"/api/events?limit=1&model={model}")
        seconds = time.perf_counter() - began
        if [one["id"] for one in found["events"]] != [sent["eventId"]]:
            raise RuntimeError("an acknowledged event was not in the next query's answer")
        return seconds * 1000

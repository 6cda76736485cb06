"""A real server process on a data folder, as an operator would start it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from bench.client import Client
from bench.scale import Bench

ROOT = Path(__file__).parent.parent
READY_SECONDS = 120.0
STOP_SECONDS = 30.0
SERVE = ("-m", "tokenwatcher_server", "serve")
"""The arguments to Python that run the real server."""
_SETTINGS: Final = {
    "DASHBOARD_PASSWORD": "measured-and-thrown-away",
    "INGEST_RATE_LIMIT_MAX_REQUESTS": "100000000",  # counted as ever, and never reached
}
SERVE_WITHOUT_STORING = ("-m", "bench.null_server")
SERVE_SAMPLED = ("-m", "bench.sampled_server")


class Server(msgspec.Struct, frozen=True):
    """A running server; `ready_seconds` is from the command to the first good `/readyz`."""

    pid: int
    port: int
    ready_seconds: float

    def metrics(self) -> Mapping[str, float]:
        """What `/metrics` counts, by name; labels are part of the name."""
        lines = Client(self.port).read("/metrics").decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}


def server_command(bench: Bench) -> tuple[str, ...]:
    return SERVE_SAMPLED if bench.profile else SERVE


@contextmanager
def running(data_dir: Path, command: tuple[str, ...] = SERVE, **settings: str) -> Iterator[Server]:
    """Run the server until the block ends; raises RuntimeError where it doesn't start."""
    port = _free_port()
    arguments = ["--data-dir", str(data_dir), "--port", str(port)]
    with (data_dir / "server.log").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command, *arguments], cwd=ROOT, stdout=log, stderr=log,
            env=os.environ | _SETTINGS | settings,
        )  # fmt: skip
        try:
            _wait_until_ready(process, port)
            yield Server(process.pid, port, time.perf_counter() - began)
        finally:
            _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the server ended at once; server.log in its folder says why")
        with suppress(OSError, http.client.HTTPException, RuntimeError):
            Client(port).read("/readyz")
            return
        time.sleep(0.01)
    raise RuntimeError(f"the server was not ready after {READY_SECONDS:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise RuntimeError("the server did not stop in time") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

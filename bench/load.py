"""The load: keep-alive connections that send one request after another.

Runs as a process of its own (`python -m bench.load` with a `Load` as JSON on its standard
input, a `LoadResult` on its standard output), so that it has the other core. It uses plain
sockets and epoll, since a client library would cost more than the server that it measures.
"""

import gc
import selectors
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.bodies import Requests

SEND_BUFFER = 4 * 1024 * 1024
STALLED_SECONDS = 30.0
_LENGTH = b"content-length: "


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Sends until `events` are sent or `seconds` are over, whichever comes first."""

    port: int
    key: str
    connections: int
    batch: int
    events: int
    seconds: float
    seed: int = 11


class LoadResult(msgspec.Struct, frozen=True):
    """What was acknowledged; latencies are from sending to the whole answer, milliseconds."""

    acknowledged: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    first_refusal: str = ""

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds


class _Connection:
    """One socket with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALLED_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.sent_at = 0.0
        self._received = b""

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """The whole answer once it is there."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        start = self._received.lower().find(_LENGTH, 0, end) + len(_LENGTH)
        length = int(self._received[start : self._received.index(b"\r", start)])
        if len(self._received) < end + 4 + length:
            return None
        answer, self._received = self._received, b""
        return answer


def run(load: Load) -> LoadResult:
    """Apply the load in this process."""
    gc.disable()
    return _Run(load).to_the_end()


class _Run:
    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = Requests(load.key, load.batch, seed=load.seed)
        self._latencies: list[float] = []
        self._sent = 0
        self._under_way = 0
        self._refused = 0
        self._refusal = b""

    def to_the_end(self) -> LoadResult:
        selector = selectors.EpollSelector()
        connections = [_Connection(self._load.port) for _ in range(self._load.connections)]
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        began = time.perf_counter()
        stop = began + self._load.seconds
        for connection in connections:
            self._send(connection)
        while self._under_way:
            ready = selector.select(STALLED_SECONDS)
            if not ready:
                raise TimeoutError("the server stopped answering")
            for key, _ in ready:
                self._go_on(key.data, stop)
        return self._result(time.perf_counter() - began)

    def _go_on(self, connection: _Connection, stop: float) -> None:
        answer = connection.answer()
        if answer is None:
            return
        now = time.perf_counter()
        self._under_way -= 1
        if answer[9:12] == b"200":
            self._latencies.append(now - connection.sent_at)
        else:
            self._refused += self._load.batch
            self._refusal = self._refusal or answer
        if self._sent < self._load.events and now < stop:
            self._send(connection)

    def _send(self, connection: _Connection) -> None:
        connection.send(self._requests.next())
        self._sent += self._load.batch
        self._under_way += 1

    def _result(self, seconds: float) -> LoadResult:
        ordered = sorted(self._latencies) or [0.0]
        return LoadResult(
            acknowledged=len(self._latencies) * self._load.batch,
            refused=self._refused,
            seconds=seconds,
            p50_ms=ordered[len(ordered) // 2] * 1000,
            p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
            worst_ms=ordered[-1] * 1000,
            first_refusal=self._refusal.partition(b"\r\n\r\n")[2].decode(errors="replace")[:300],
        )


class RunningLoad:
    """A load under way in its own process."""

    def __init__(self, load: Load) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        assert self._process.stdin
        self._process.stdin.write(msgspec.json.encode(load))
        self._process.stdin.close()

    def is_over(self) -> bool:
        return self._process.poll() is not None

    def result(self) -> LoadResult:
        """Wait for its end; raises RuntimeError where it failed."""
        assert self._process.stdout
        output = self._process.stdout.read()
        if self._process.wait() != 0:
            raise RuntimeError("the load failed; its message is above")
        return msgspec.json.decode(output, type=LoadResult)


def apply(load: Load) -> LoadResult:
    """Apply the load from another process and wait for its end."""
    return RunningLoad(load).result()


def main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(run(load)))


if __name__ == "__main__":
    main()

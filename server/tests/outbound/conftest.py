"""A certificate authority, a TLS server that says what a test wants, and sockets that count."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from server.tests.outbound.certificates import write_certificate

Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]
Receive = Callable[[Talk], AbstractAsyncContextManager["Receiver"]]


class Receiver(msgspec.Struct):
    """A server on loopback for `hook.example`, and every request that it was sent."""

    port: int
    requests: list[bytes]


class Canary:
    """A listening socket that nobody may connect to."""

    def __init__(self, address: str, port: int = 0) -> None:
        self._socket = socket.create_server(
            (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        self._socket.setblocking(False)
        self._address = address
        self.port: int = self._socket.getsockname()[1]

    def is_heard(self) -> bool:
        """Whether a connection to it is counted; for who would trust its zero."""
        with socket.create_connection((self._address, self.port), timeout=5):
            return self.connections() == 1

    def connections(self) -> int:
        """How many were made since the last time; the system queues them until they are taken."""
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    """On 127.0.0.2: where a receiver on 127.0.0.1 is allowed, this still is not."""
    found = Canary("127.0.0.2")
    yield found
    found.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `hook.example` and 127.0.0.1, signed by its own key, in one file with that."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    write_certificate(path, ["hook.example"], ["127.0.0.1"])
    return path


@pytest.fixture
def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.fixture
def receive(certificate: Path) -> Receive:
    """Serves over TLS on 127.0.0.1: reads each request whole, then lets `talk` write."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)

    @asynccontextmanager
    async def serving(talk: Talk) -> AsyncIterator[Receiver]:
        receiver = Receiver(port=0, requests=[])

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                receiver.requests.append(head + await reader.readexactly(length))
                await talk(writer)
            except (OSError, asyncio.IncompleteReadError):
                return  # the client has what it wanted
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        receiver.port = server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            server.close()

    return serving

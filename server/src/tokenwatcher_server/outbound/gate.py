"""The gate: one request to one vetted server, for a bounded time and a bounded answer.

No redirect is followed and no proxy of the environment used: the connection goes to the
address that was vetted, and its certificate must be for the name that was asked for.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping

import httpcore
import msgspec

from tokenwatcher_server.outbound.connect import (
    MOST_ATTEMPTS,
    Resolve,
    VettedBackend,
    vetted_addresses,
)
from tokenwatcher_server.outbound.errors import NotSent, too_slow, unreachable
from tokenwatcher_server.outbound.names import SystemNames
from tokenwatcher_server.outbound.policy import Policy
from tokenwatcher_server.outbound.target import Target, target_of

LARGEST_ANSWER = 64 * 1024


class Answer(msgspec.Struct, frozen=True):
    """What came back; `body` holds the first 64 KB, as sent. Times are in milliseconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_ms: int


class Gate:
    """Sends requests where the policy lets them go. `timeout_seconds` is for one in all."""

    def __init__(
        self,
        policy: Policy,
        *,
        timeout_seconds: float = 5.0,
        resolve: Resolve | None = None,
        backend: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve or SystemNames()
        self._backend = backend or httpcore.AnyIOBackend()
        self._tls = tls or ssl.create_default_context()

    async def check(self, url: str) -> None:
        """Whether a request may go to the URL now; `send` asks again each time.

        Raises AppError if it is written wrongly, NotSent if a request would not get out.
        """
        target = target_of(url)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await vetted_addresses(self._policy, target, self._resolve)
        except TimeoutError:
            raise too_slow("the look-up took too long") from None

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Send one request and read its answer, whatever its status.

        Raises AppError if the URL is written wrongly, NotSent if no answer came: TargetRefused
        if nothing was even sent.
        """
        target = target_of(url)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status, answered, content = await self._exchange(target, method, headers, body)
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise too_slow(type(error).__name__) from None
        except NotSent:
            raise
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise unreachable(type(error).__name__) from None
        latency_ms = round((time.monotonic() - started) * 1000)
        return Answer(status=status, headers=answered, body=content, latency_ms=latency_ms)

    async def _exchange(
        self, target: Target, method: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        backend = VettedBackend(self._policy, target, self._resolve, self._backend)
        # the last of several attempts must still have time left
        timeouts = {"connect": self._timeout_seconds / MOST_ATTEMPTS}
        async with (
            httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend) as pool,
            pool.stream(
                method,
                target.url,
                headers=_sent_headers(target, headers, body),
                content=body,
                extensions={"timeout": timeouts},
            ) as response,
        ):
            content = b""
            async for part in response.aiter_stream():
                content += part
                if len(content) >= LARGEST_ANSWER:
                    break
            return response.status, _received_headers(response.headers), content[:LARGEST_ANSWER]


def _sent_headers(
    target: Target, headers: Mapping[str, str], body: bytes
) -> list[tuple[bytes, bytes]]:
    usual = target.port == (443 if target.scheme == "https" else 80)
    sent = {
        "Host": target.host if usual else f"{target.host}:{target.port}",
        "User-Agent": "TokenWatcher",
        "Accept-Encoding": "identity",  # nothing to unpack, so nothing that grows
        "Connection": "close",
        **headers,
        "Content-Length": str(len(body)),
    }
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in sent.items()]


def _received_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}

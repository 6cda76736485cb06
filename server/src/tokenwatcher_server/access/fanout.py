"""Tells other servers through Redis that keys have changed, so that they look at once.

Nothing depends on it: a server compares its keys with the control data every second anyhow. While
Redis is away, that second is what a revoked key may live on elsewhere.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL: Final = "tokenwatcher/keys"
AGAIN_SECONDS: Final = 1.0
"""After a lost connection."""
LISTEN_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 2.0
_LOST: Final = (RedisError, OSError, TimeoutError)


class Fanout:
    """One server's ear and voice. `heard` is called for what others tell, and cheaply."""

    def __init__(self, url: str, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=PATIENCE_SECONDS,
            socket_timeout=LISTEN_SECONDS + PATIENCE_SECONDS,
        )
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self) -> None:
        """Keys have changed here. Nobody waits for it to arrive."""
        task = asyncio.get_running_loop().create_task(self._publish())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def run(self) -> None:
        """Listen for as long as the server runs."""
        while True:
            with suppress(*_LOST):
                await self._listen()
            await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        for task in tuple(self._telling):
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        await self._client.aclose()

    async def _listen(self) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(CHANNEL)
            while True:
                message = await channel.get_message(timeout=LISTEN_SECONDS)
                # also when this begins: what was told before is not told again
                if message is not None:
                    self._heard()

    async def _publish(self) -> None:
        with suppress(*_LOST):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._client.publish(CHANNEL, b"changed")

"""What one server changes of keys, the others hear through Redis, also after it was away."""

import asyncio
from typing import Any

from server.tests.redis_server import Redis
from tokenwatcher_server.access.fanout import Fanout


class Ear:
    """Counts what it hears."""

    def __init__(self) -> None:
        self.times = 0
        self._heard = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self._heard.set()

    async def next(self) -> None:
        await asyncio.wait_for(self._heard.wait(), 20)
        self._heard.clear()


def test_a_server_hears_what_another_tells(redis: Redis) -> None:
    async def work() -> None:
        ear, one = Ear(), Fanout(redis.url, lambda: None)
        other = Fanout(redis.url, ear)
        listening = asyncio.create_task(other.run())
        await ear.next()  # it listens now
        one.tell()
        await ear.next()
        assert ear.times == 2
        await ended(listening, one, other)

    asyncio.run(work())


def test_after_redis_was_away_it_asks_and_hears_again(redis: Redis) -> None:
    async def work() -> None:
        ear = Ear()
        fanout = Fanout(redis.url, ear)
        listening = asyncio.create_task(fanout.run())
        await ear.next()
        redis.stop()
        fanout.tell()  # into the void, and nobody minds
        redis.start()
        await ear.next()  # what was told meanwhile may have been missed
        fanout.tell()
        await ear.next()
        await ended(listening, fanout)

    asyncio.run(work())


async def ended(listening: asyncio.Task[Any], *fanouts: Fanout) -> None:
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    for fanout in fanouts:
        await fanout.close()

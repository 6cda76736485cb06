"""How many requests a sender may make: counted in this process, or in Redis for all of them.

A sender's window begins with the first request in it and ends after the limit's seconds. While
Redis does not answer, each process counts for itself, so that nothing is refused or kept waiting
for its sake; it is asked again after a few seconds.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

import msgspec
from limits.aio.storage import RedisStorage
from limits.storage import MemoryStorage

from tokenwatcher_server.kernel.clock import MICROSECONDS, Clock
from tokenwatcher_server.observability.logs import logger

REDIS_SECONDS = 0.25
"""What a request may wait for Redis: rarely waited, and long enough where a machine is busy."""
AWAY_US = 5 * MICROSECONDS
"""How long Redis is left alone after it failed to answer."""
SAID_EVERY_US = 60 * MICROSECONDS
QUESTIONS_AT_ONCE = 8
_CONNECTION_SECONDS = 1.0
_MOST_REMEMBERED = 10_000


class Limit(msgspec.Struct, frozen=True):
    most: int
    seconds: int


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a sender stands after a request was counted."""

    most: int
    left: int
    """How many more there may be; negative for one too many."""
    resets_in: int
    """In seconds, from 1 to the length of the window."""

    @property
    def exceeded(self) -> bool:
        return self.left < 0


class RateLimits:
    """Counts requests by sender, exactly: of N + 1 at once, N stay within a limit of N."""

    def __init__(self, clock: Clock, redis_url: str | None = None) -> None:
        self._clock = clock
        self._own = MemoryStorage()
        self._shared = None if redis_url is None else _Shared(redis_url, clock)

    async def count(self, sender: str, limit: Limit) -> Standing:
        """Count one request; it is counted even where it is one too many."""
        found = None if self._shared is None else await self._shared.count(sender, limit)
        if found is None:
            count = self._own.incr(sender, limit.seconds)
            found = count, self._own.get_expiry(sender)
        count, ends_at = found
        left = ends_at - self._clock.now_us() / MICROSECONDS
        return Standing(limit.most, limit.most - count, min(max(1, math.ceil(left)), limit.seconds))

    async def open(self) -> None:
        """Find out at the start whether Redis answers; where it doesn't, it is said in the log."""
        if self._shared is not None:
            await self._shared.greet()

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()


class _Shared:
    """Counts in Redis; None stands for no answer in time."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        self._storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="tokenwatcher",
            socket_timeout=_CONNECTION_SECONDS,
            socket_connect_timeout=_CONNECTION_SECONDS,
        )
        self._questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self._unanswered: set[asyncio.Future[float]] = set()
        self._away_until = 0
        self._said_at: int | None = None
        self._ends: dict[str, float] = {}

    async def count(self, sender: str, limit: Limit) -> tuple[int, float] | None:
        async with self._questions:
            count = await self._ask(lambda: self._storage.incr(sender, limit.seconds))
            if count is None:
                return None
            return int(count), await self._end_of(sender, int(count), limit)

    async def greet(self) -> None:
        if await self._ask(self._storage.check, seconds=_CONNECTION_SECONDS) == 0:
            self._is_away()

    async def close(self) -> None:
        unanswered = tuple(self._unanswered)
        if unanswered:  # their own time limit ends them, which leaves no connection open
            await asyncio.wait(unanswered, timeout=2 * _CONNECTION_SECONDS)
        for question in unanswered:
            question.cancel()
        await asyncio.gather(*unanswered, return_exceptions=True)
        await self._storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]

    async def _end_of(self, sender: str, count: int, limit: Limit) -> float:
        """When the window ends: known to who began it, else asked for once."""
        now = self._clock.now_us() / MICROSECONDS
        known = self._ends.get(sender, 0.0)
        if count > 1 and known > now:
            return known
        end: float | None = now + limit.seconds
        if count > 1:
            end = await self._ask(lambda: self._storage.get_expiry(sender))
        if len(self._ends) >= _MOST_REMEMBERED:
            self._ends.clear()
        self._ends[sender] = now + limit.seconds if end is None else end
        return self._ends[sender]

    async def _ask(
        self, question: Callable[[], Awaitable[float]], seconds: float = REDIS_SECONDS
    ) -> float | None:
        """Wait for the answer for a while; one that comes late is not waited for again."""
        if self._clock.now_us() < self._away_until:
            return None
        asked = asyncio.ensure_future(question())
        self._unanswered.add(asked)
        asked.add_done_callback(self._unanswered.discard)
        await asyncio.wait({asked}, timeout=seconds)
        if not asked.done():
            await asyncio.sleep(0)  # this process may have been late itself: an answer that
            await asyncio.sleep(0)  # has arrived by now is taken
        if asked.done() and asked.exception() is None:
            return asked.result()
        asked.add_done_callback(lambda late: late.cancelled() or late.exception())
        self._is_away()
        return None

    def _is_away(self) -> None:
        now_us = self._clock.now_us()
        self._away_until = now_us + AWAY_US
        if self._said_at is None or now_us - self._said_at >= SAID_EVERY_US:
            self._said_at = now_us
            logger().warning("Redis does not answer: each process counts its rate limits alone")

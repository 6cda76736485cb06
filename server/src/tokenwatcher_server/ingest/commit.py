"""Group commit: many waiting requests, one durable transaction.

1. A request hands in its batch and waits; a full queue refuses it at once.
2. The committer takes everything that has arrived, up to a limit, and stores it in one call.
3. Each request is woken with its own outcome; what arrived meanwhile is the next group.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import EventStore, Outcome, StoreUnavailable
from tokenwatcher_server.kernel.errors import AppError, unavailable
from tokenwatcher_server.observability.logs import logger

MOST_QUEUED_EVENTS = 50_000
MOST_EVENTS_IN_A_GROUP = 5_000

_Waiting = tuple[Sequence[PricedEvent], asyncio.Future[Outcome]]


class Committer:
    """Stores batches in groups. One per process, on the server's event loop."""

    def __init__(self, store: EventStore, *, most_queued: int = MOST_QUEUED_EVENTS) -> None:
        self._store = store
        self._most_queued = most_queued
        self._waiting: deque[_Waiting] = deque()
        self._queued_events = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="committer")

    @property
    def queued_events(self) -> int:
        return self._queued_events

    async def commit(self, batch: Sequence[PricedEvent]) -> Outcome:
        """Store the batch durably; raises AppError (503) where that can't be done now."""
        if self._closing:
            raise unavailable("The server is stopping; send the events again.")
        if self._queued_events + len(batch) > self._most_queued:
            raise unavailable("Too many events are waiting to be stored; nothing was stored.")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, future))
        self._queued_events += len(batch)
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Store what has been accepted, then stop."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while group := self._next_group():
                await self._store_group(group)
            if self._closing:
                return

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size < MOST_EVENTS_IN_A_GROUP):
            waiting = self._waiting.popleft()
            group.append(waiting)
            size += len(waiting[0])
        return group

    async def _store_group(self, group: list[_Waiting]) -> None:
        try:
            outcomes = await self._store.append([batch for batch, _ in group])
        except StoreUnavailable as reason:
            logger().error("events can't be stored", reason=str(reason))
            # what waits behind would wait as long, and for the same answer
            group = [*group, *self._waiting]
            self._waiting.clear()
            _fail(group, unavailable("The events can't be stored now; nothing was stored."))
        except Exception:  # noqa: BLE001 - whatever it was, every waiting request must be told
            logger().exception("a group of events failed")
            _fail(group, unavailable("The events can't be stored now; nothing was stored."))
        else:
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if not future.cancelled():
                    future.set_result(outcome)
        finally:
            self._queued_events -= sum(len(batch) for batch, _ in group)


def _fail(group: list[_Waiting], error: AppError) -> None:
    for _, future in group:
        if not future.cancelled():
            future.set_exception(error)

"""Loads made-up history through the real pipeline: the price book and the event store."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from tokenwatcher_server.demo.history import Plan, history
from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import EventStore

GROUP = 5_000
"""Events in one commit: large enough to be fast, small enough for a server to stay awake."""


class Prices(Protocol):
    def price_batch(self, events: Sequence[Event]) -> list[Cost]: ...

    async def keep_new_lines(self) -> None: ...


async def load_history(
    plan: Plan, store: EventStore, prices: Prices, stored: Callable[[int], None]
) -> None:
    """Store the plan's events; `stored` is told of each group's size once it is on disk.

    The next group is made and priced while the one before is being stored.
    """
    storing: asyncio.Task[object] | None = None
    size = 0
    try:
        for group in _groups(history(plan)):
            costs = prices.price_batch(group)
            await prices.keep_new_lines()
            batch = [PricedEvent(event, cost) for event, cost in zip(group, costs, strict=True)]
            if storing is not None:
                await storing
                stored(size)
            storing, size = asyncio.create_task(store.append([batch])), len(batch)
            await asyncio.sleep(0)  # lets the task hand its batch to the store's own thread
    finally:
        if storing is not None:
            await storing
            stored(size)


def _groups(hours: Iterable[list[Event]]) -> Iterator[list[Event]]:
    group: list[Event] = []
    for hour in hours:
        group += hour
        while len(group) >= GROUP:
            yield group[:GROUP]
            group = group[GROUP:]
    if group:
        yield group

"""A process that erases a person's events from a store, and is killed at a place it is told.

`module:Class.method` or `module:function`, `before` or `after` it, at its so manieth call.
"""

import asyncio
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from server.tests.faults.writes_until_killed import WORKSPACE, batch
from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import Repricing
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.embedded import erase

HERS = Erasure(workspaces=(WORKSPACE,), fate="remove", user="ann")
BATCHES = 8


def batch_of(number: int) -> list[PricedEvent]:
    """Every other event is Ann's; in every fourth batch all of them are."""
    return [
        msgspec.structs.replace(
            priced,
            event=msgspec.structs.replace(
                priced.event,
                user_id="ann" if number % 4 == 0 or at % 2 else "ben",
                response_id=f"an-answer-of-batch-{number:06}-{at:06}",
            ),
        )
        for at, priced in enumerate(batch(number))
    ]


def cost_of(event: Event) -> Cost:
    """A later cost, the same as the first."""
    return Cost(total=event.tokens.input_text, buckets=event.tokens)


def killed_at(place: str, when: str, calls: int) -> None:
    module, _, path = place.partition(":")
    owner: Any = import_module(module)
    *holders, name = path.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    original, left = getattr(owner, name), iter(range(calls))

    def killing(*arguments: Any, **named: Any) -> Any:
        last = next(left) == calls - 1
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, killing)


async def _erase(folder: Path) -> None:
    store = await open_store(None, folder, SystemClock())
    for number in range(1, BATCHES + 1):
        await store.append([batch_of(number)])
    events = [priced.event for number in (2, 3) for priced in batch_of(number)]
    await store.reprice([Repricing(WORKSPACE, event.id, cost_of(event)) for event in events])
    await store.verify()
    erase.STEP_ROWS = 300
    killed_at(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    await store.erase([HERS])


if __name__ == "__main__":
    asyncio.run(_erase(Path(sys.argv[1])))

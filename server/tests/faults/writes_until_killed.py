"""A process that writes to a store in a folder until it is killed, and says what it is doing.

It prints `committing N` before batch N is appended, `acknowledged N` once it is, `applying N`
before it asks a question that has the batch applied to the columns, and `folding 0` before the
columns' file is written, which is after every few batches.
"""

import asyncio
import sys
from pathlib import Path

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.query import Scope, UsageQuery
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.embedded import columns, columns_file

WORKSPACE = WorkspaceId("0198c0de-0000-7000-8000-00000000a11c")
BATCH = 200
FOLDED_IN_BATCHES = 3
EVER = Period(0, 4_000_000_000_000_000)


def batch(number: int) -> list[PricedEvent]:
    """The same batch for the same number, always."""
    return [_event(f"batch-{number:06}-{position:04}", number) for position in range(BATCH)]


def question() -> UsageQuery:
    return UsageQuery(
        scope=Scope((WORKSPACE,)), period=EVER, measures=("calls", "input_tokens", "cost")
    )


def _event(event_id: str, number: int) -> PricedEvent:
    event = Event(
        id=event_id,
        content_digest=event_id.encode()[-16:],
        workspace_id=WORKSPACE,
        project_id=ProjectId("0198c0de-0000-7000-8000-00000000540b"),
        occurred_at=1_779_969_600_000_000 + number,
        received_at=1_779_969_600_000_000 + number,
        event_type="usage",
        status="success",
        provider="openai",
        model="gpt-4o-mini",
        tokens=Tokens(input_text=number),
        usage_quality="final",
        tags={"team": f"team {number % 3}"},
    )
    return PricedEvent(event, Cost(total=number, buckets=Tokens(input_text=number)))


def _say(what: str, number: int) -> None:
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


async def _write(folder: Path, first: int) -> None:
    store = await open_store(None, folder, SystemClock())
    for number in range(first, sys.maxsize):
        _say("committing", number)
        await store.append([batch(number)])
        _say("acknowledged", number)
        _say("applying", number)
        await store.usage([question()])


def _tell_of_folding() -> None:
    fold_in = columns_file.fold_in

    def telling(connection: columns_file.Cursor) -> None:
        _say("folding", 0)
        fold_in(connection)

    columns.FOLDED_IN_ROWS = FOLDED_IN_BATCHES * BATCH
    columns_file.fold_in = telling


if __name__ == "__main__":
    _tell_of_folding()
    asyncio.run(_write(Path(sys.argv[1]), int(sys.argv[2])))

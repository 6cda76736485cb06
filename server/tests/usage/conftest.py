"""A store of the real kind with a handful of events whose sums can be done in the head."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.query import Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import FrozenClock, to_us
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.stores import open_store

Result = TypeVar("Result")
NOW = to_us(datetime(2026, 11, 23, 17, 41, 8, tzinfo=UTC))
WORKSPACE = WorkspaceId("01a00000-0000-7000-8000-000000000001")
OTHER_WORKSPACE = WorkspaceId("01a00000-0000-7000-8000-000000000002")
PROJECT = ProjectId("01a00000-0000-7000-8000-000000000003")

WithStore = Callable[[list[PricedEvent], Callable[[EventStore], Awaitable[Any]]], Any]
MakeEvent = Callable[..., PricedEvent]


@pytest.fixture
def now_us() -> int:
    return NOW


@pytest.fixture
def scope() -> Scope:
    return Scope((WORKSPACE,))


@pytest.fixture
def made() -> MakeEvent:
    """Makes a priced event; `cost` in picodollars, None for one without a price."""
    count = 0

    def make(
        at: datetime,
        cost: int | None = 0,
        *,
        model: str = "gpt-5",
        foreign: bool = False,
        failed: bool = False,
        input_text: int = 100,
        **fields: Any,
    ) -> PricedEvent:
        nonlocal count
        count += 1
        event = Event(
            id=f"event-{count:08}",
            content_digest=hashlib.sha256(str(count).encode()).digest()[:16],
            workspace_id=OTHER_WORKSPACE if foreign else WORKSPACE,
            project_id=PROJECT,
            occurred_at=to_us(at),
            received_at=NOW,
            event_type="error" if failed else "usage",
            status="error" if failed else "success",
            provider="openai",
            model=model,
            tokens=Tokens(input_text=input_text, output_text=10),
            usage_quality="final",
            **fields,
        )
        buckets = Tokens(input_text=cost)
        return PricedEvent(
            event, Cost(cost, buckets=buckets, price_id=None if cost is None else "p")
        )

    return make


@pytest.fixture
def with_store(tmp_path: Path) -> WithStore:
    """Runs an async function against a store that holds these events."""

    def run(events: list[PricedEvent], ask: Callable[[EventStore], Awaitable[Any]]) -> Any:
        async def work() -> Any:
            store = await open_store(None, tmp_path, FrozenClock(NOW))
            try:
                if events:
                    await store.append([events])
                return await ask(store)
            finally:
                await store.close()

        return asyncio.run(work())

    return run

"""A cast of workspaces with a factory of events, and the stores to hold to their promises."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.query import Dimension, EventFilter, Filter, Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores import open_store

T = TypeVar("T")


class Cast:
    """Alice has a shop and a chat; Bob has a workspace that she may not see."""

    alice = WorkspaceId("0198c0de-0000-7000-8000-00000000a11c")
    bob = WorkspaceId("0198c0de-0000-7000-8000-000000000b0b")
    shop = ProjectId("0198c0de-0000-7000-8000-00000000540b")
    chat = ProjectId("0198c0de-0000-7000-8000-00000000c4a7")
    noon = 1_779_969_600_000_000
    """28 May 2026, 12:00 UTC."""
    scope = Scope((alice,))
    ever = Period(0, 4_000_000_000_000_000)

    def event(self, **changes: Any) -> PricedEvent:
        """One event of Alice's shop; `cost` and any field of it or of its tokens can be changed.

        The digest covers everything but the id: the same changes are the same content.
        """
        cost = changes.pop("cost", self.cost(1_000, 2_000))
        counts = {name: changes.pop(name) for name in Tokens.__struct_fields__ if name in changes}
        fields: dict[str, Any] = {
            "id": new_id(),
            "workspace_id": self.alice,
            "project_id": self.shop,
            "occurred_at": self.noon,
            "received_at": self.noon,
            "event_type": "usage",
            "status": "success",
            "provider": "openai",
            "model": "gpt-4o",
            "tokens": Tokens(**({"input_text": 10, "output_text": 20} | counts)),
            "usage_quality": "final",
            **changes,
        }
        said = msgspec.msgpack.encode({k: v for k, v in fields.items() if k != "id"})
        fields.setdefault("content_digest", hashlib.blake2b(said, digest_size=16).digest())
        return PricedEvent(Event(**fields), cost)

    def cost(self, input_text: int, output_text: int) -> Cost:
        buckets = Tokens(input_text=input_text, output_text=output_text)
        return Cost(total=input_text + output_text, buckets=buckets, price_id="list")

    def unpriced(self) -> Cost:
        return Cost(total=None, unpriced_reason="no price")

    def query(self, *measures: Any, **changes: Any) -> UsageQuery:
        asked: dict[str, Any] = {
            "scope": self.scope,
            "period": self.ever,
            "measures": measures,
        } | changes
        return UsageQuery(**asked)

    def by(self, *fields: str) -> tuple[Dimension, ...]:
        """Dimensions; `tag:team` is the tag `team`."""
        return tuple(
            Dimension("tag", field.removeprefix("tag:"))
            if field.startswith("tag:")
            else Dimension(field)  # type: ignore[arg-type]
            for field in fields
        )

    def only(self, field: str, *values: str | None) -> Filter:
        return Filter(self.by(field)[0], values)

    def list(self, **changes: Any) -> EventFilter:
        return EventFilter(**({"scope": self.scope, "period": self.ever} | changes))


class Opened:
    """A store that can be opened, closed and opened again, in a place of its own."""

    def __init__(self, data_dir: Path, now_us: int, url: str | None = None) -> None:
        self.data_dir, self.url = data_dir, url
        self.clock = FrozenClock(now_us)

    async def open(self) -> EventStore:
        return await open_store(self.url, self.data_dir, self.clock)

    def run(self, work: Callable[[EventStore], Awaitable[T]]) -> T:
        """Open the store, do something with it, and close it."""

        async def session() -> T:
            store = await self.open()
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(session())

    def after(
        self, batches: Sequence[Sequence[PricedEvent]], work: Callable[[EventStore], Awaitable[T]]
    ) -> T:
        """Append batches, then do something."""

        async def session(store: EventStore) -> T:
            await store.append(batches)
            return await work(store)

        return self.run(session)


@pytest.fixture(scope="session")
def cast() -> Cast:
    return Cast()


@pytest.fixture(scope="session", params=["embedded", "postgres", "clickhouse", "cluster"])
def empty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cast: Cast
) -> Callable[[], Opened]:
    """Every kind of store in turn; gives an empty one each time."""

    def made() -> Opened:
        url = None
        if request.param == "cluster":
            url = request.getfixturevalue("clickhouse").new_database() + "?cluster=tokens"
        elif request.param != "embedded":
            url = request.getfixturevalue(request.param).new_database()
        return Opened(tmp_path_factory.mktemp("store") / "data", cast.noon, url)

    return made


@pytest.fixture
def opened(empty: Callable[[], Opened]) -> Opened:
    """Every kind of store in turn, empty."""
    return empty()


@pytest.fixture
def embedded(tmp_path: Path, cast: Cast) -> Opened:
    """The store in a folder alone."""
    return Opened(tmp_path / "data", cast.noon)

"""Group commit: many requests, one transaction; nobody is told 'stored' who wasn't."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import Conflict, Outcome, Stored, StoreUnavailable
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.ingest.commit import Committer
from tokenwatcher_server.kernel.errors import AppError, Kind
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId, new_id


class SlowStore:
    """Takes its time over every group, and remembers how they came."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.attempts = 0
        self.attempted = asyncio.Event()
        self.release = asyncio.Event()
        self.failure: Exception | None = None
        self.outcomes: Callable[[int], Outcome] = lambda _: Stored()

    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        self.attempts += 1
        self.attempted.set()
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        self.groups.append(len(batches))
        return [self.outcomes(position) for position in range(len(batches))]


def batch(size: int = 1) -> list[PricedEvent]:
    event = Event(
        id=new_id(),
        content_digest=bytes(16),
        workspace_id=WorkspaceId("w"),
        project_id=ProjectId("p"),
        occurred_at=0,
        received_at=0,
        event_type="usage",
        status="success",
        provider="openai",
        model="gpt-4o",
        tokens=Tokens(),
        usage_quality="final",
    )
    return [PricedEvent(event, Cost(total=None))] * size


def with_committer(
    scenario: Callable[[SlowStore, Committer], Coroutine[Any, Any, None]], **options: int
) -> None:
    async def run() -> None:
        store = SlowStore()
        committer = Committer(store, **options)  # type: ignore[arg-type]  # the seam it needs
        committer.start()
        await scenario(store, committer)
        store.release.set()
        await committer.close()

    asyncio.run(run())


def test_requests_that_wait_together_are_stored_together() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        waiting = [asyncio.create_task(committer.commit(batch())) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        store.release.set()
        assert await asyncio.gather(*waiting) == [Stored()] * 10
        assert store.groups in ([10], [1, 9])

    with_committer(scenario)


def test_each_request_hears_of_its_own_outcome() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        store.outcomes = lambda position: Conflict((position,))
        waiting = [asyncio.create_task(committer.commit(batch())) for _ in range(3)]
        await asyncio.sleep(0)
        store.release.set()
        assert await asyncio.gather(*waiting) == [Conflict((n,)) for n in range(3)]

    with_committer(scenario)


@pytest.mark.parametrize("failure", [StoreUnavailable("disk full"), RuntimeError("bug")])
def test_a_failed_group_is_told_so_and_the_next_one_is_tried(failure: Exception) -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        store.release.set()
        store.failure = failure
        with pytest.raises(AppError) as refused:
            await committer.commit(batch())
        assert refused.value.kind is Kind.UNAVAILABLE
        assert refused.value.retry_after is not None
        assert "disk" not in str(refused.value)
        store.failure = None
        assert await committer.commit(batch()) == Stored()

    with_committer(scenario)


def test_what_waits_behind_a_group_that_could_not_be_stored_is_told_with_it() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        store.failure = StoreUnavailable("it says nothing")
        first = asyncio.create_task(committer.commit(batch()))
        await store.attempted.wait()
        behind = [asyncio.create_task(committer.commit(batch())) for _ in range(3)]
        await asyncio.sleep(0)
        store.release.set()
        for waiting in (first, *behind):
            with pytest.raises(AppError) as refused:
                await waiting
            assert refused.value.kind is Kind.UNAVAILABLE
        assert (store.attempts, committer.queued_events) == (1, 0)

    with_committer(scenario)


def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        first = asyncio.create_task(committer.commit(batch(8)))
        await asyncio.sleep(0)
        with pytest.raises(AppError) as refused:
            await committer.commit(batch(3))
        assert refused.value.kind is Kind.UNAVAILABLE
        store.release.set()
        assert await first == Stored()
        assert committer.queued_events == 0
        assert await committer.commit(batch(3)) == Stored()

    with_committer(scenario, most_queued=10)


def test_what_was_accepted_is_stored_before_it_closes() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        waiting = [asyncio.create_task(committer.commit(batch())) for _ in range(5)]
        await asyncio.sleep(0)
        store.release.set()
        await committer.close()
        assert await asyncio.gather(*waiting) == [Stored()] * 5
        with pytest.raises(AppError):
            await committer.commit(batch())

    with_committer(scenario)


def test_a_client_that_left_does_not_stop_the_others() -> None:
    async def scenario(store: SlowStore, committer: Committer) -> None:
        gone = asyncio.create_task(committer.commit(batch()))
        stays = asyncio.create_task(committer.commit(batch()))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        store.release.set()
        assert await stays == Stored()

    with_committer(scenario)

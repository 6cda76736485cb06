"""Several servers on one ClickHouse: whatever they store at the same time, an event counts once."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Conflict, EventStore, Stored
from tokenwatcher_server.kernel.clock import HOUR_US, SystemClock
from tokenwatcher_server.stores import open_store
from tokenwatcher_server.stores.clickhouse.connection import Connection, address_of
from tokenwatcher_server.stores.clickhouse.keys import Key, holders, losers
from tokenwatcher_server.stores.clickhouse.rows import first_rows
from tokenwatcher_server.stores.clickhouse.schema import SENT_TYPES

SERVERS = 4
RESPONSE = "chatcmpl-0123456789abcdef"
LATER = 1 << 62
"""A commit after every one of today."""


@pytest.fixture
def url(clickhouse: Any) -> str:
    return str(clickhouse.new_database())


def together(url: str, work: Callable[[Sequence[EventStore]], Any], servers: int = SERVERS) -> Any:
    """Open the database as several servers do, and do something with all of them."""

    async def session() -> Any:
        async with AsyncExitStack() as stack:
            stores = []
            for _ in range(servers):
                stores.append(await open_store(url, None, SystemClock()))  # type: ignore[arg-type]
                stack.push_async_callback(stores[-1].close)
            return await work(stores)

    return asyncio.run(session())


def insert(url: str, events: Sequence[PricedEvent], sequence: int) -> None:
    """Store rows as a server does that has looked up what is held before, and not yet after."""
    connection = Connection(address_of(url), 10)
    try:
        connection.insert("events", first_rows(events, sequence), SENT_TYPES, str(sequence))
    finally:
        connection.close()


async def counted(store: EventStore, cast: Any) -> Any:
    [[row]] = await store.usage([cast.query("calls", "cost")])
    assert (await store.verify()).faults == ()
    return row.values


def changed(priced: PricedEvent, **changes: Any) -> PricedEvent:
    event = msgspec.structs.replace(priced.event, **changes)
    return msgspec.structs.replace(priced, event=event)


def test_the_same_batches_at_the_same_time_count_once(url: str, cast: Any) -> None:
    batches = [
        [cast.event(response_id=f"{RESPONSE}{batch}-{n}") for n in range(20)] for batch in range(10)
    ]

    async def work(stores: Sequence[EventStore]) -> Any:
        for batch in batches:
            outcomes = await asyncio.gather(*(store.append([batch]) for store in stores))
            assert all(isinstance(outcome, Stored) for [outcome] in outcomes)
        return await counted(stores[0], cast)

    assert together(url, work) == (200, 600_000)


def test_one_answer_under_two_ids_at_the_same_time_counts_once(url: str, cast: Any) -> None:
    async def work(stores: Sequence[EventStore]) -> Any:
        for number in range(10):
            answer = f"{RESPONSE}-{number}"
            await asyncio.gather(
                *(store.append([[cast.event(response_id=answer)]]) for store in stores)
            )
        return await counted(stores[0], cast)

    assert together(url, work) == (10, 30_000)


def test_one_id_with_other_content_at_the_same_time_is_stored_once(url: str, cast: Any) -> None:
    """The ids of one's own have no time in them: their rows lie wherever their calls were made."""

    async def work(stores: Sequence[EventStore]) -> Any:
        for number in range(10):
            batches = [
                [cast.event(id=f"order-{number}", occurred_at=cast.noon + server * HOUR_US)]
                for server in range(SERVERS)
            ]
            outcomes = await asyncio.gather(
                *(store.append([batch]) for store, batch in zip(stores, batches, strict=True))
            )
            told = [outcome for [outcome] in outcomes]
            assert Stored() in told
            assert told.count(Stored()) + told.count(Conflict((0,))) == SERVERS
        return await counted(stores[0], cast)

    assert together(url, work) == (10, 30_000)


def test_the_first_row_holds_before_and_after_the_table_is_merged(
    url: str, cast: Any, clickhouse: Any
) -> None:
    first = cast.event(cost=cast.cost(1, 1))
    second = changed(cast.event(cost=cast.cost(7, 7)), id=first.event.id)

    async def work(stores: Sequence[EventStore]) -> Any:
        insert(url, [second], 2_000)
        insert(url, [first], 1_000)
        before = await counted(stores[0], cast)
        clickhouse.sql("optimize table events final", address_of(url).database)
        return before, await counted(stores[0], cast)

    assert together(url, work, 1) == ((1, 2), (1, 2))


def test_what_a_dead_server_left_twice_is_found_and_taken_out_by_the_retry(
    url: str, cast: Any
) -> None:
    """It stored what another had just stored, and died before it looked again."""
    first = cast.event(id="order-1", response_id=RESPONSE)
    same = changed(first, occurred_at=cast.noon + 5 * HOUR_US)
    answered = cast.event(response_id=RESPONSE)
    again = changed(answered, id="order-2")

    async def work(stores: Sequence[EventStore]) -> Any:
        [store] = stores
        await store.append([[first]])
        insert(url, [same, again], LATER)
        found = await store.verify()
        assert len(found.faults) == 2
        assert "event order-1" in found.faults[0]
        assert await store.append([[same, again]]) == [Stored(frozenset({0, 1}))]
        return await counted(store, cast)

    assert together(url, work, 1) == (1, 3_000)


def test_what_was_taken_out_stays_out_and_is_known(url: str, cast: Any) -> None:
    first, second = cast.event(response_id=RESPONSE), cast.event(response_id=RESPONSE)

    async def work(stores: Sequence[EventStore]) -> Any:
        [store] = stores
        await store.append([[first]])
        insert(url, [second], LATER)
        await store.append([[second]])
        assert await store.append([[second]]) == [Stored(frozenset({0}))]
        other = changed(second, content_digest=b"other content 16", response_id=None)
        assert await store.append([[other]]) == [Conflict((0,))]
        assert await store.event(cast.scope, second.event.id) is None
        return await counted(store, cast)

    assert together(url, work, 1) == (1, 3_000)


keys = st.lists(
    st.builds(
        Key,
        workspace_id=st.sampled_from(["a", "b"]),
        id=st.sampled_from(["x", "y", "z"]),
        place=st.integers(0, 1),
        sequence=st.integers(0, 5),
        position=st.integers(0, 3),
        void=st.sampled_from([0, 0, 0, 1]),
        content_digest=st.just(b""),
        answer=st.integers(0, 3),
    ),
    max_size=12,
)


@given(keys, st.randoms())
def test_what_is_left_has_every_id_and_answer_once_whatever_the_order(
    rows: list[Key], random: Any
) -> None:
    out = set(losers(rows))
    left = [key for key in holders(rows) if key not in out]
    assert len({key.name for key in left}) == len(left)
    answers = [key.answer for key in left if key.answer]
    assert len(set(answers)) == len(answers)
    for key in out:
        assert any(
            (each.name == key.name or each.answer == key.answer)
            and (each.sequence, each.position) <= (key.sequence, key.position)
            for each in left
        )
    random.shuffle(rows)
    assert {key.name for key in left} == {
        key.name for key in holders(rows) if key not in set(losers(rows))
    }

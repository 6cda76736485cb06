"""Laws of the store: whatever is sent, retried or sent twice, each event counts exactly once."""

import asyncio
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.store import Conflict, EventStore, Stored
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.money import usd

IDS = [f"01890000-0000-7000-8000-{number:012d}" for number in range(12)] + ["named-by-hand-1"]

cost = st.none() | st.integers(0, 2**62)
said = st.tuples(st.sampled_from(IDS), st.integers(0, 3), st.integers(0, 50_000_000), cost)
"""An id, a variant of its content, a count and a cost; the same id may come with other content."""

sendings = st.lists(
    st.tuples(
        st.lists(st.lists(said, min_size=1, max_size=6), min_size=1, max_size=4), st.booleans()
    ),
    min_size=1,
    max_size=6,
)
"""Calls of `append` with some batches each, and whether the store is opened again after it."""

Said = tuple[str, int, int, int | None]


class Model:
    """What a store must hold, in plain Python."""

    def __init__(self) -> None:
        self.held: dict[str, Said] = {}

    def send(self, batch: list[Said]) -> bool:
        """Whether the batch is taken."""
        fresh: dict[str, Said] = {}
        for event in batch:
            known = self.held.get(event[0]) or fresh.get(event[0])
            if known is not None and known != event:
                return False
            fresh[event[0]] = event
        self.held |= fresh
        return True

    def totals(self) -> tuple[int, int, Decimal]:
        costs = [usd(event[3]) for event in self.held.values() if event[3] is not None]
        return len(self.held), sum(event[2] for event in self.held.values()), sum(costs, Decimal(0))


def as_event(cast: Any, event: Said) -> PricedEvent:
    event_id, variant, count, amount = event
    made: PricedEvent = cast.event(
        id=event_id,
        user_id=f"user {variant}",
        input_text=count,
        output_text=0,
        metadata={"cost": str(amount)},
        cost=Cost(amount, Tokens(input_text=amount)),
    )
    return made


async def totals(store: EventStore, cast: Any) -> tuple[int, int, Decimal]:
    [[row]] = await store.usage([cast.query("calls", "input_tokens", "cost")])
    calls, tokens, picodollars = row.values
    return int(calls or 0), int(tokens or 0), usd(int(picodollars or 0))


def test_totals_are_those_of_a_plain_sum_whatever_was_sent_and_how_often(
    cast: Any, empty: Any
) -> None:
    async def scenario(calls: list[tuple[list[list[Said]], bool]]) -> None:
        opened = empty()
        store = await opened.open()
        model = Model()
        for batches, open_again in calls:
            outcomes = await store.append([[as_event(cast, e) for e in batch] for batch in batches])
            for batch, outcome in zip(batches, outcomes, strict=True):
                assert isinstance(outcome, Stored if model.send(batch) else Conflict)
            if open_again:
                await store.close()
                store = await opened.open()
            assert await totals(store, cast) == model.totals()
        assert (await store.verify()).sound
        await store.close()

    # a server's database takes longer to make than a folder
    @settings(max_examples=40 if empty().url is None else 10, deadline=None)
    @given(sendings)
    def law(calls: list[tuple[list[list[Said]], bool]]) -> None:
        asyncio.run(scenario(calls))

    law()

"""Pricing stored events again: on request only, exactly, and with an account of every cent."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.control.tables import workspaces
from tokenwatcher_server.events.event import Event, PricedEvent
from tokenwatcher_server.events.query import Scope, UsageQuery
from tokenwatcher_server.events.store import EventStore, Stored
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import DAY_US, FrozenClock
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.pricing import custom, operations, reprice
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.operations import (
    ApplyArguments,
    ExplainArguments,
    UnpricedArguments,
)
from tokenwatcher_server.pricing.reprice import ModelChange, Repriced
from tokenwatcher_server.stores import open_store

MIDNIGHT = 1_795_392_000_000_000
NOON = MIDNIGHT + DAY_US // 2
PERIOD = Period(MIDNIGHT - 10 * DAY_US, MIDNIGHT + DAY_US)
ALPHA, BETA = WorkspaceId("alpha-id"), WorkspaceId("beta-id")
BOTH = Scope((ALPHA, BETA))


class Instance(msgspec.Struct, frozen=True):
    database: Database
    store: EventStore
    book: PriceBook

    async def send(self, events: list[Event]) -> None:
        costs = self.book.price_batch(events)
        await self.book.keep_new_lines()
        batch = [PricedEvent(event, cost) for event, cost in zip(events, costs, strict=True)]
        for start in range(0, len(batch), 1000):
            assert await self.store.append([batch[start : start + 1000]]) == [Stored()]

    async def own_price(self, model: str, dollars: str, provider: str = "openai") -> None:
        price = custom.new_price(
            provider=provider,
            model_pattern=model,
            valid_from=0,
            now_us=NOON,
            tokens={"input": dollars, "output": dollars},
            calls={},
        )
        async with self.database.transaction() as connection:
            await custom.set_price(connection, price)
        await self.book.refresh()

    async def apply(self, *, dry_run: bool = False, include_priced: bool = False) -> Repriced:
        return await reprice.apply(
            self.store,
            self.book,
            self.database,
            BOTH,
            PERIOD,
            dry_run=dry_run,
            include_priced=include_priced,
        )

    async def cost_and_unpriced(self) -> tuple[int, int]:
        query = UsageQuery(scope=BOTH, period=PERIOD, measures=("cost", "unpriced"))
        [[row]] = await self.store.usage([query])
        return int(row.values[0] or 0), int(row.values[1] or 0)


def with_instance(folder: Path, work: Callable[[Instance], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = FrozenClock(NOON)
        database = Database(control_url(None, folder))
        await migrate(database)
        async with database.transaction() as connection:
            await connection.execute(
                insert(workspaces),
                [
                    {"id": ALPHA, "name": "Alpha", "slug": "alpha", "created_at": NOON},
                    {"id": BETA, "name": "Beta", "slug": "beta", "created_at": NOON},
                ],
            )
        store = await open_store(None, folder, clock)
        try:
            book = PriceBook()
            await book.load(database, clock)
            await work(Instance(database, store, book))
        finally:
            await store.close()
            await database.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def call(make_event: Any) -> Callable[..., Event]:
    """Events with ids and digests of their own, of the alpha workspace unless said."""
    made = iter(range(10**6))

    def make(model: str = "in-house", **fields: Any) -> Event:
        number = next(made)
        values = {
            "id": f"event-{number:06}",
            "content_digest": number.to_bytes(16, "big"),
            "workspace_id": ALPHA,
            "occurred_at": NOON - number * 1000,
            "tokens": Tokens(input_text=10 + number, output_text=number),
        }
        event: Event = make_event(model=model, **(values | fields))
        return event

    return make


def test_a_dry_run_tells_what_the_run_then_does(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        await here.send([call() for _ in range(5)] + [call("gpt-4o") for _ in range(3)])
        before = await here.cost_and_unpriced()
        await here.own_price("in-house", "1")
        planned = await here.apply(dry_run=True)
        assert await here.cost_and_unpriced() == before
        done = await here.apply()
        assert msgspec.structs.replace(done, dry_run=True, stored=0) == planned
        assert (done.examined, done.changed, done.stored) == (5, 5, 5)
        assert await here.cost_and_unpriced() == (before[0] + done.after, 0)
        again = await here.apply()
        assert (again.examined, again.changed) == (0, 0)

    with_instance(tmp_path, work)


def test_totals_before_and_after_differ_by_exactly_what_the_report_says(
    tmp_path: Path, call: Any
) -> None:
    """More events than a page, two workspaces that use the same ids, three kinds of model."""

    async def work(here: Instance) -> None:
        models = ("in-house", "gpt-4o", "nobody-knows")
        alpha = [call(models[i % 3]) for i in range(reprice.PAGE + 700)]
        beta = [msgspec.structs.replace(event, workspace_id=BETA) for event in alpha[:300]]
        await here.send(alpha)
        await here.send(beta)
        cost, unpriced = await here.cost_and_unpriced()
        assert unpriced == 1000
        await here.own_price("in-house", "1")
        await here.own_price("gpt-4o", "7")
        report = await here.apply(include_priced=True)
        assert (report.examined, report.changed, report.stored) == (1500, 1000, 1000)
        assert await here.cost_and_unpriced() == (cost + report.after - report.before, 500)
        by_model = {change.model: change for change in report.models}
        assert by_model["in-house"].priced == by_model["in-house"].events == 500
        assert by_model["in-house"].before == 0
        assert by_model["gpt-4o"].before == cost
        assert by_model["nobody-knows"] == ModelChange("openai", "nobody-knows", unpriced=500)
        assert sum(change.after for change in report.models) == report.after
        repeated = await here.apply(include_priced=True)
        assert repeated.changed == 0

    with_instance(tmp_path, work)


def test_without_the_word_for_it_history_keeps_its_prices(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        await here.send([call("gpt-4o")])
        before = await here.cost_and_unpriced()
        await here.own_price("gpt-4o", "100")
        assert (await here.apply()).changed == 0
        assert await here.cost_and_unpriced() == before

    with_instance(tmp_path, work)


def test_taking_a_price_away_takes_no_cost_away(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        await here.own_price("in-house", "1")
        await here.send([call()])
        before = await here.cost_and_unpriced()
        async with here.database.transaction() as connection:
            [price] = await custom.list_prices(connection)
            await custom.remove_price(connection, price.id, NOON)
        await here.book.refresh()
        assert (await here.apply(include_priced=True)).changed == 0
        assert await here.cost_and_unpriced() == before

    with_instance(tmp_path, work)


def test_failed_and_stated_calls_are_left_as_they_are(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        failed = call(event_type="error", status="error", error_type="Timeout", tokens=Tokens())
        await here.send([failed, call(stated_cost=42)])
        await here.own_price("in-house", "1")
        report = await here.apply(include_priced=True)
        assert (report.examined, report.changed) == (2, 0)
        assert await here.cost_and_unpriced() == (42, 0)

    with_instance(tmp_path, work)


def test_models_without_a_price_are_listed_with_their_days_and_the_reason(
    tmp_path: Path, call: Any
) -> None:
    async def work(here: Instance) -> None:
        days = [call(occurred_at=NOON - n * DAY_US) for n in (0, 3, 5)]
        failed = call(event_type="error", status="error", error_type="E", tokens=Tokens())
        await here.send([*days, call("ft:gpt-4.1:o::i"), call("gpt-4o"), failed])
        first, second = await reprice.unpriced(here.store, BOTH, PERIOD)
        assert (first.model, first.events) == ("in-house", 3)
        assert (first.first_day, first.last_day) == (MIDNIGHT - 5 * DAY_US, MIDNIGHT)
        assert first.reason == "no price is known for this model"
        assert second.reason is not None
        assert second.reason.startswith("a fine-tuned model")

    with_instance(tmp_path, work)


def test_the_command_s_operations_run_on_one_workspace_or_all(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        await here.send([call(), call(workspace_id=BETA), call("gpt-4o", id="listed-event")])
        found = await operations.list_unpriced(
            here.store, here.database, UnpricedArguments(PERIOD, "beta")
        )
        assert [model.events for model in found.models] == [1]
        await here.own_price("in-house", "1")
        report = await operations.apply_prices(
            here.store, here.book, here.database, ApplyArguments(PERIOD, dry_run=False)
        )
        assert report.changed == 2
        with pytest.raises(AppError, match="no workspace"):
            await operations.list_unpriced(
                here.store, here.database, UnpricedArguments(PERIOD, "gamma")
            )

    with_instance(tmp_path, work)


def test_a_stored_cost_is_explained_to_the_last_picodollar(tmp_path: Path, call: Any) -> None:
    async def work(here: Instance) -> None:
        tokens = Tokens(input_text=700, cache_read=300, output_text=40, output_reasoning=10)
        searched = call(
            "gpt-4o", id="listed-event", tokens=tokens, server_tool_calls={"web_search": 2}
        )
        await here.send([searched, call(id="unknown-event")])

        async def told(event_id: str) -> operations.Explanation:
            return await operations.explain_event(
                here.store, here.book, here.database, ExplainArguments(event_id)
            )

        listed = await told("listed-event")
        assert listed.rate_line is not None
        assert listed.cost.price_id == listed.rate_line.id
        assert sum(line.amount for line in listed.lines) == listed.cost.total
        unknown = await told("unknown-event")
        assert (unknown.lines, unknown.rate_line) == ((), None)
        assert unknown.cost.unpriced_reason == "no price is known for this model"
        with pytest.raises(AppError, match="no event"):
            await told("no-such-event")

    with_instance(tmp_path, work)

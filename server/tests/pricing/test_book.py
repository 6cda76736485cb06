"""The price book: whose price wins and when, what it keeps, and that junk can't fill it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import DAY_US, FrozenClock
from tokenwatcher_server.pricing import book as book_module
from tokenwatcher_server.pricing import custom
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.catalog import CATALOG_FILE, Catalog
from tokenwatcher_server.pricing.custom import CustomPrice, new_price
from tokenwatcher_server.pricing.price import explain

NOON = 1_795_435_200_000_000
CLOCK = FrozenClock(NOON)


def own_price(provider: str = "openai", model: str = "gpt-4o", **fields: Any) -> CustomPrice:
    values: dict[str, Any] = {
        "tokens": {"input": "1", "output": "2"},
        "calls": {},
        "valid_from": 0,
        "now_us": NOON,
    }
    return new_price(provider=provider, model_pattern=model, **(values | fields))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Database]:
    database = Database(control_url(None, folder))
    try:
        await migrate(database)
        yield database
    finally:
        await database.close()


def with_database(folder: Path, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(folder) as database:
            await work(database)

    asyncio.run(run())


async def loaded(database: Database) -> PriceBook:
    book = PriceBook()
    await book.load(database, CLOCK)
    return book


async def add(database: Database, price: CustomPrice) -> None:
    async with database.transaction() as connection:
        await custom.set_price(connection, price)


def test_an_own_price_wins_over_the_list(catalog: Catalog, make_event: Any) -> None:
    [cost] = PriceBook(catalog, [own_price()]).price_batch([make_event()])
    assert cost.total == 1000 * 1_000_000 + 100 * 2_000_000
    assert cost.price_match == "custom price for openai/gpt-4o"


def test_an_own_price_holds_from_its_first_microsecond(catalog: Catalog, make_event: Any) -> None:
    book = PriceBook(catalog, [own_price(valid_from=NOON)])
    before, after = book.price_batch(
        [make_event(occurred_at=NOON - 1), make_event(occurred_at=NOON)]
    )
    assert before.price_match == 'openai/gpt-4o by "listed name"'
    assert after.price_match == "custom price for openai/gpt-4o"


def test_the_later_of_two_own_prices_holds_from_its_date(catalog: Catalog, make_event: Any) -> None:
    later = own_price(valid_from=NOON, tokens={"input": "3", "output": "3"})
    book = PriceBook(catalog, [later, own_price()])
    before, after = book.price_batch(
        [make_event(occurred_at=NOON - 1), make_event(occurred_at=NOON)]
    )
    assert (before.total, after.total) == (1_200_000_000, 3_300_000_000)


def test_the_more_particular_own_price_wins(catalog: Catalog, make_event: Any) -> None:
    patterns = [("*", "*"), ("openai", "gpt-*"), ("*", "gpt-4o*"), ("openai", "gpt-4o")]
    prices = [
        own_price(provider, model, tokens={"input": str(rank), "output": "0"})
        for rank, (provider, model) in enumerate(patterns, start=1)
    ]
    for count in range(1, len(prices) + 1):
        [cost] = PriceBook(catalog, prices[:count]).price_batch([make_event()])
        assert cost.buckets.input_text == 1000 * count * 1_000_000


def test_an_own_price_for_a_tier_leaves_the_others_alone(catalog: Catalog, make_event: Any) -> None:
    book = PriceBook(catalog, [own_price(service_tier="priority")])
    priority, standard = book.price_batch([make_event(service_tier="PRIORITY"), make_event()])
    assert priority.total == 1_200_000_000
    assert standard.price_match == 'openai/gpt-4o by "listed name"'


@pytest.mark.parametrize(
    ("provider", "model", "pattern"),
    [
        ("azure", "azure/gpt-4o", "gpt-4o"),
        ("azure.ai.openai", "GPT-4o", "gpt-4o"),
        ("azure", "gpt-4o-2024-11-20", "*-4o*"),
        ("azure", "my-deployment", "*deployment"),
    ],
)
def test_an_own_price_is_found_by_any_spelling(
    catalog: Catalog, make_event: Any, provider: str, model: str, pattern: str
) -> None:
    book = PriceBook(catalog, [own_price("Azure OpenAI", pattern)])
    [cost] = book.price_batch([make_event(provider, model)])
    assert cost.price_match == f"custom price for azure/{pattern}"


def test_a_local_model_can_be_free_or_cost_by_the_hour(catalog: Catalog, make_event: Any) -> None:
    free = own_price("ollama", "*", tokens={"input": "0", "output": "0"})
    hourly = own_price("vllm", "*", tokens={}, per_hour="3.6")
    book = PriceBook(catalog, [free, hourly])
    nothing, second = book.price_batch(
        [make_event("ollama", "llama3", tokens=Tokens()), make_event("vllm", "x", latency_ms=1000)]
    )
    assert (nothing.total, second.total) == (0, 10**9)


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("acme", "gpt-4o", "no prices are known for the provider 'acme'"),
        ("openai", "gpt-unheard-of", "no price is known for this model"),
        (
            "openai",
            "ft:gpt-4.1:org::id",
            "a fine-tuned model has a price of its own, and none is known for this one",
        ),
    ],
)
def test_what_has_no_price_says_why(
    book: PriceBook, make_event: Any, provider: str, model: str, reason: str
) -> None:
    [cost] = book.price_batch([make_event(provider, model)])
    assert (cost.total, cost.unpriced_reason) == (None, reason)


def test_before_an_own_price_there_may_be_none(catalog: Catalog, make_event: Any) -> None:
    book = PriceBook(catalog, [own_price("openai", "mine", valid_from=NOON)])
    [cost] = book.price_batch([make_event(model="mine", occurred_at=NOON - 1)])
    assert cost.unpriced_reason == "no price is known for this model"


def test_a_flood_of_made_up_names_takes_no_more_than_its_share(
    book: PriceBook, make_event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "MOST_NAMES", 50)
    book.price_batch([make_event()])
    known = book._pricers[("openai", "gpt-4o", None)]
    flood = [make_event(model=f"junk-{i}") for i in range(300)]
    flood += [make_event(f"provider-{i}", "m") for i in range(300)]
    flood += [make_event(service_tier=f"tier-{i}") for i in range(300)]
    book.price_batch(flood)
    assert len(book._without) <= 50
    assert book._pricers[("openai", "gpt-4o", None)] is known
    book.price_batch([make_event("anthropic", f"claude-3-haiku-{i}") for i in range(300)])
    assert len(book._pricers) <= 50
    assert len(book._lines) < 10


@given(st.lists(st.sampled_from(["gpt-4o", "gpt-4.1", "nobody-knows-it"]), max_size=30))
def test_costs_come_in_the_order_of_the_events(make_event: Any, models: list[str]) -> None:
    book = PriceBook()
    batch = [make_event(model=model) for model in models]
    alone = [PriceBook().price_batch([event])[0] for event in batch[:3]]
    assert book.price_batch(batch)[:3] == alone
    assert len(book.price_batch(batch)) == len(models)


def test_a_price_set_by_another_process_is_seen_at_the_next_refresh(
    tmp_path: Path, make_event: Any
) -> None:
    async def work(database: Database) -> None:
        book = await loaded(database)
        async with opened(tmp_path) as elsewhere:
            price = own_price()
            await add(elsewhere, price)
            assert book.price_batch([make_event()])[0].total == 3_500_000_000
            await book.refresh()
            assert book.price_batch([make_event()])[0].total == 1_200_000_000
            async with elsewhere.transaction() as connection:
                await custom.remove_price(connection, price.id, NOON)
            await book.refresh()
            assert book.price_batch([make_event()])[0].total == 3_500_000_000

    with_database(tmp_path, work)


def test_a_refresh_without_a_change_keeps_what_was_looked_up(
    tmp_path: Path, make_event: Any
) -> None:
    async def work(database: Database) -> None:
        book = await loaded(database)
        book.price_batch([make_event()])
        looked_up = dict(book._pricers)
        await book.refresh()
        assert book._pricers == looked_up

    with_database(tmp_path, work)


def test_a_book_without_a_database_has_nothing_to_refresh_or_keep(
    book: PriceBook, make_event: Any
) -> None:
    [cost] = book.price_batch([make_event()])
    asyncio.run(book.refresh())
    asyncio.run(book.keep_new_lines())
    assert [line.id for line in book.unsaved_lines()] == [cost.price_id]
    assert asyncio.run(book.find_line("0" * 32)) is None


def test_a_line_is_kept_once_before_its_events(tmp_path: Path, make_event: Any) -> None:
    async def work(database: Database) -> None:
        book = await loaded(database)
        [cost] = book.price_batch([make_event()])
        assert cost.price_id in {line.id for line in book.unsaved_lines()}
        await book.keep_new_lines()
        await book.save_lines(database)
        assert book.unsaved_lines() == ()
        again = await loaded(database)
        again.price_batch([make_event()])
        assert again.unsaved_lines() == ()

    with_database(tmp_path, work)


def test_two_processes_may_keep_the_same_line(tmp_path: Path, make_event: Any) -> None:
    async def work(database: Database) -> None:
        books = [await loaded(database) for _ in range(2)]
        for book in books:
            book.price_batch([make_event(), make_event(model="gpt-4.1")])
        await asyncio.gather(*(book.keep_new_lines() for book in books))
        assert all(book.unsaved_lines() == () for book in books)

    with_database(tmp_path, work)


def test_a_cost_stays_explainable_after_the_list_has_changed(
    tmp_path: Path, make_event: Any
) -> None:
    changed = tmp_path / "catalog.jsonl"
    text = CATALOG_FILE.read_text(encoding="utf-8")
    changed.write_text(text.replace("2500000", "2600000"), encoding="utf-8")

    async def work(database: Database) -> None:
        event = make_event()
        old = await loaded(database)
        [cost] = old.price_batch([event])
        await old.keep_new_lines()
        new = await loaded(database)
        new._catalog = Catalog(changed)
        [dearer] = new.price_batch([event])
        assert dearer.total != cost.total
        assert dearer.price_id is not None
        assert cost.price_id is not None
        assert new.line(cost.price_id) is None
        line = await new.find_line(cost.price_id)
        assert line is not None
        assert sum(part.amount for part in explain(event, line)) == cost.total
        assert await new.find_line(dearer.price_id) == new.line(dearer.price_id)

    with_database(tmp_path, work)


def test_dated_prices_are_chosen_by_each_event_s_own_time(book: PriceBook, make_event: Any) -> None:
    days = [make_event(model="gpt-5.6-sol", occurred_at=NOON - n * DAY_US) for n in (0, 200)]
    now, then = book.price_batch(days)
    assert now.total != then.total

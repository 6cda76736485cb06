"""The operator's own prices: exact, dated, and never written over."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.pricing import custom
from tokenwatcher_server.pricing.custom import CustomPrice, new_price, per_token, rate_line

NOW = 1_795_435_200_000_000


def price(**fields: Any) -> CustomPrice:
    values: dict[str, Any] = {
        "provider": "openai",
        "model_pattern": "gpt-4o*",
        "valid_from": NOW,
        "now_us": NOW,
        "tokens": {"input": "2.5", "output": "10"},
        "calls": {},
    }
    return new_price(**(values | fields))


@given(st.integers(0, 10_000_000_000))
def test_a_rate_is_stored_exactly(picodollars_for_a_token: int) -> None:
    dollars = Decimal(picodollars_for_a_token) / 1_000_000
    assert per_token(str(dollars), "input") == picodollars_for_a_token


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokens": {"input": "0.0000001"}}, "whole number of picodollars"),
        ({"tokens": {"input": "1e-13"}}, "finer than a picodollar"),
        ({"tokens": {"input": "-1"}}, "must be from 0"),
        ({"tokens": {"input": "10000.000001"}}, "must be from 0"),
        ({"tokens": {"input": "NaN"}}, "finite"),
        ({"tokens": {"input": "cheap"}}, "not an amount"),
        ({"tokens": {"output": "1"}}, "input: is needed"),
        ({"tokens": {"input": "1", "thoughts": "1"}}, "thoughts: is not a kind of tokens"),
        ({"tokens": {}}, "Give a price: --input"),
        ({"tokens": {}, "per_request": "1001"}, "must be from 0"),
        ({"provider": "open*"}, "provider: must be"),
        ({"provider": " "}, "provider: must be"),
        ({"model_pattern": "gpt*4o"}, "can have * only"),
        ({"model_pattern": ""}, "must have 1 to 300"),
        ({"calls": {"web_search": "free"}}, "not an amount"),
    ],
)
def test_a_price_that_is_not_one_is_refused_with_its_reason(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(AppError) as refused:
        price(**fields)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("pattern", "fitting", "not_fitting"),
    [
        ("gpt-4o", ["gpt-4o"], ["gpt-4o-mini", "my-gpt-4o"]),
        ("gpt-4o*", ["gpt-4o", "gpt-4o-mini"], ["my-gpt-4o"]),
        ("*4o", ["gpt-4o"], ["gpt-4o-mini"]),
        ("*4o*", ["gpt-4o", "gpt-4o-mini"], ["gpt-4"]),
        ("*", ["anything", ""], []),
    ],
)
def test_a_pattern_has_stars_at_its_ends_alone(
    pattern: str, fitting: list[str], not_fitting: list[str]
) -> None:
    assert all(custom._fits(pattern, name) for name in fitting)
    assert not any(custom._fits(pattern, name) for name in not_fitting)


def test_prices_are_listed_and_removed_but_never_forgotten(tmp_path: Path) -> None:
    async def work() -> None:
        database = Database(control_url(None, tmp_path))
        await migrate(database)
        first = price(calls={"web_searches": "0.01"}, per_request="0.5", per_hour="1.25")
        second = price(model_pattern="gpt-5", service_tier="Batch", note="negotiated")
        async with database.transaction() as connection:
            for each in (second, first):
                await custom.set_price(connection, each)
        async with database.transaction() as connection:
            assert await custom.list_prices(connection) == (first, second)
            removed = await custom.remove_price(connection, first.id, NOW + 1)
        async with database.reading() as connection:
            assert await custom.list_prices(connection) == (second,)
            assert await custom.list_prices(connection, with_removed=True) == (removed, second)
        for gone in (first.id, "no-such-id"):
            async with database.transaction() as connection:
                with pytest.raises(AppError, match="no custom price"):
                    await custom.remove_price(connection, gone, NOW + 2)
        assert first.calls == {"web_search": 10_000_000_000}
        assert second.service_tier == "batch"
        await database.close()

    asyncio.run(work())


def test_a_price_by_the_call_alone_makes_tokens_free() -> None:
    line = rate_line(price(tokens={}, per_request="0.01"))
    assert line.rates.input_text == line.rates.output_reasoning == 0
    assert line.per_request == 10_000_000_000


def test_the_same_terms_make_the_same_line() -> None:
    assert rate_line(price()).id == rate_line(price()).id
    assert rate_line(price()).source_version != rate_line(price()).source_version

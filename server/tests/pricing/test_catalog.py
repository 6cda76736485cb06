"""The price list: it says what genai-prices says, to the picodollar, at every date."""

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from genai_prices import types as listed
from genai_prices.data import providers

from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.clock import MICROSECONDS, to_us
from tokenwatcher_server.kernel.money import usd
from tokenwatcher_server.pricing.book import PriceBook
from tokenwatcher_server.pricing.catalog import CATALOG_FILE, Catalog
from tokenwatcher_server.pricing.price import price

SCRIPT = Path(__file__).parents[3] / "scripts" / "generate_catalog.py"
HALF_A_PICODOLLAR = Decimal("0.0000000000005")
INSTANTS = [
    datetime(2025, 3, 1, 2, tzinfo=UTC),
    datetime(2026, 9, 20, 20, 15, tzinfo=UTC),
    datetime(2026, 11, 23, 7, tzinfo=UTC),
]
USES = [(120_000, 30_000, 5_000, 2_000, 900, 400), (900_000, 100_000, 0, 3_000, 7_000, 0)]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_catalog", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_is_what_the_pinned_genai_prices_makes(script: ModuleType) -> None:
    """After raising the pin, run `python scripts/generate_catalog.py` and review the diff."""
    made = "".join(f"{line}\n" for line in script.catalog_lines())
    assert CATALOG_FILE.read_text(encoding="utf-8") == made


def test_every_listed_price_is_that_of_genai_prices(catalog: Catalog, make_event: Any) -> None:
    """Its own arithmetic in Decimal is the oracle: each model, at three dates, short and long."""
    compared = 0
    for provider, model in _models():
        own = catalog.providers[provider.id]
        lines = catalog.rate_lines(
            provider.id, own._models[provider.models.index(model)], "standard"
        )
        for at in INSTANTS:
            line = next((x for x in lines if x.holds_at(to_us(at))), None)
            for text, read, write, write_1h, out, reasoning in USES:
                expected = _genai(model, at, (text, read, write, write_1h, out, reasoning))
                if line is None or line.uncounted:
                    assert expected is None or line is not None
                    continue
                event = make_event(
                    tokens=Tokens(
                        input_text=text,
                        cache_read=read,
                        cache_write_5m=write,
                        cache_write_1h=write_1h,
                        output_text=out if line.rates.output_text is not None else 0,
                        output_reasoning=reasoning if line.rates.output_text is not None else 0,
                    )
                )
                cost = price(event, line)
                assert cost.total is not None, (provider.id, model.id)
                assert expected is not None
                fees = usd(cost.fees or 0)
                slack = (text + read + write + write_1h + out + reasoning) * HALF_A_PICODOLLAR
                difference = abs(usd(cost.total) - fees - expected)
                assert difference <= (slack if _is_noisy(model) else 0), (provider.id, model.id)
                compared += 1
    assert compared > 10_000


def _models() -> Iterator[tuple[listed.Provider, listed.ModelInfo]]:
    return ((provider, model) for provider in providers for model in provider.models)


def _is_noisy(model: listed.ModelInfo) -> bool:
    """Listed with more decimals than a picodollar for a token."""

    def decimals(value: object) -> Iterator[Decimal]:
        if isinstance(value, Decimal):
            yield value
        elif isinstance(value, listed.TieredPrices):
            yield from (value.base, *(tier.price for tier in value.tiers))

    prices = [model.prices] if isinstance(model.prices, listed.ModelPrice) else model.prices
    tables = [getattr(entry, "prices", entry) for entry in prices]
    values = (n for table in tables for value in table.__dict__.values() for n in decimals(value))
    return any(int(n.as_tuple().exponent) < -6 for n in values)


def _genai(model: listed.ModelInfo, at: datetime, use: tuple[int, ...]) -> Decimal | None:
    """The tokens' price without fees for requests, or None where nothing is listed."""
    text, read, write, write_1h, out, reasoning = use
    table = model.get_prices(at)
    kept = {k: v for k, v in table.__dict__.items() if k.endswith("_mtok") and v is not None}
    if not kept:
        return None
    usage = listed.Usage(
        input_tokens=text + read + write + write_1h,
        cache_read_tokens=read,
        cache_write_tokens=write + write_1h,
        cache_write_5m_tokens=write,
        cache_write_1h_tokens=write_1h,
        output_tokens=out + reasoning,
        output_reasoning_tokens=reasoning,
        output_citation_tokens=0,
        input_audio_tokens=0,
        output_audio_tokens=0,
        cache_audio_read_tokens=0,
        input_image_tokens=0,
        output_image_tokens=0,
        cache_image_read_tokens=0,
        input_video_tokens=0,
        output_video_tokens=0,
    )
    return listed.ModelPrice(**kept).calc_price(usage)["total_price"]


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("github-copilot", "gpt-4o"),
        ("openai", "omni-moderation-latest"),
        ("google", "gemma-3-27b-it"),
    ],
)
def test_a_model_listed_without_a_price_is_unpriced_not_free(
    book: PriceBook, make_event: Any, provider: str, model: str
) -> None:
    [cost] = book.price_batch([make_event(provider, model)])
    assert cost.total is None
    assert cost.unpriced_reason is not None
    assert cost.unpriced_reason.startswith(f"no list price: {provider}/")


def test_every_model_listed_without_a_price_says_so(catalog: Catalog) -> None:
    empty = [
        model
        for provider in catalog.providers.values()
        for model in provider._models
        if all(entry.is_empty for entry in model.prices)
    ]
    assert len(empty) >= 179
    assert all(catalog.rate_lines("any", model, "standard") == () for model in empty)


def test_a_price_changes_at_midnight_utc_and_not_a_microsecond_before(
    book: PriceBook, make_event: Any
) -> None:
    midnight = to_us(datetime(2026, 8, 21, tzinfo=UTC))
    before, after = book.price_batch(
        [make_event(model="gpt-5.6-sol", occurred_at=at) for at in (midnight - 1, midnight)]
    )
    assert before.total == 1000 * 5_000_000 + 100 * 30_000_000
    assert after.total == 1000 * 4_000_000 + 100 * 20_000_000
    assert before.price_id != after.price_id


def test_a_price_by_the_time_of_day_changes_to_the_microsecond(
    book: PriceBook, make_event: Any
) -> None:
    opening = to_us(datetime(2026, 11, 20, 0, 30, tzinfo=UTC))
    closing = opening + int(timedelta(hours=16).total_seconds()) * MICROSECONDS
    instants = (opening - 1, opening, closing - 1, closing)
    costs = book.price_batch(
        [make_event("deepseek", "deepseek-chat", occurred_at=at) for at in instants]
    )
    cheap, dear = 1000 * 135_000 + 100 * 550_000, 1000 * 270_000 + 100 * 1_100_000
    assert [cost.total for cost in costs] == [cheap, dear, dear, cheap]


def test_a_tier_has_its_own_prices_and_not_a_rule_of_thumb(
    book: PriceBook, make_event: Any
) -> None:
    tokens = Tokens(input_text=10, cache_read=10, output_text=10)
    totals = {
        tier: book.price_batch(
            [make_event("google", "gemini-2.5-flash", tokens=tokens, service_tier=tier)]
        )[0].total
        for tier in (None, "default", "ON_DEMAND", "batch", "priority")
    }
    standard = 10 * (300_000 + 30_000 + 2_500_000)
    assert totals[None] == totals["default"] == totals["ON_DEMAND"] == standard
    assert totals["batch"] == 10 * (150_000 + 30_000 + 1_250_000)  # cached input keeps its price
    assert totals["priority"] is None


def test_a_tier_holds_before_it_was_verified_while_the_standard_price_was_the_same(
    book: PriceBook, make_event: Any
) -> None:
    """Sol's tiers were verified in October 2026; its standard price changed on 21 August."""
    changed = to_us(datetime(2026, 8, 21, tzinfo=UTC))
    before, after = book.price_batch(
        [
            make_event(model="gpt-5.6-sol", service_tier="batch", occurred_at=at)
            for at in (changed - 1, changed)
        ]
    )
    assert after.total == 1000 * 2_000_000 + 100 * 10_000_000
    assert before.unpriced_reason == "no price is known for the service tier 'batch'"


def test_a_borrowed_price_list_lends_no_tiers(book: PriceBook, make_event: Any) -> None:
    [cost] = book.price_batch([make_event("azure", "gpt-4o", service_tier="batch")])
    assert cost.unpriced_reason == "no price is known for the service tier 'batch'"


@pytest.mark.parametrize("tier", ["provisioned_throughput", "scale"])
def test_bought_capacity_is_not_priced_by_the_token(
    book: PriceBook, make_event: Any, tier: str
) -> None:
    [cost] = book.price_batch([make_event(service_tier=tier)])
    assert cost.unpriced_reason == "bought as capacity: its tokens have no price of their own"


def test_text_is_not_priced_where_images_hide_in_the_same_count(
    book: PriceBook, make_event: Any
) -> None:
    [cost] = book.price_batch([make_event("google", "gemini-2.5-flash-image")])
    assert cost.total is None
    assert cost.unpriced_reason == "the price is by output image, which a call doesn't count"


def test_reading_the_list_decodes_no_model() -> None:
    assert "_models" not in Catalog().providers["openrouter"].__dict__


def test_a_model_is_known_by_the_list_s_own_name_for_it(catalog: Catalog) -> None:
    assert catalog.providers["openai"].called("gpt-4o") is not None
    assert catalog.providers["openai"].called("gpt-nothing") is None

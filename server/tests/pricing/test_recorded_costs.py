"""Recorded answers of real providers, priced: every cost that two price lists agree on, exactly.

The recordings are not part of this repository. Where they are missing the test says so and
skips, except under CI, where their absence is a failure.
"""

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokenwatcher_server.events.event import Event
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.kernel.money import usd
from tokenwatcher_server.pricing.book import PriceBook

pytestmark = pytest.mark.realdata

RECORDINGS = Path(__file__).parents[4] / "shared" / "realdata" / "exchanges"
Exchange = dict[str, Any]


@pytest.fixture(scope="module")
def exchanges() -> dict[str, Exchange]:
    if not RECORDINGS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the recorded answers are missing: {RECORDINGS}")
        pytest.skip(f"no recorded answers at {RECORDINGS}: recorded costs are not checked")
    return {file.stem: msgspec.json.decode(file.read_bytes()) for file in RECORDINGS.glob("*.json")}


def tokens(usage: dict[str, int | None]) -> Tokens:
    """The expected counts, which are wholes and parts, as disjoint buckets."""

    def count(name: str) -> int:
        return usage.get(f"{name}_tokens") or 0

    write_5m, write_1h = count("cache_write_5m"), count("cache_write_1h")
    writes, audio, image = count("cache_write"), count("audio_input"), count("image_input")
    read, whole_in, whole_out = count("cache_read"), count("input"), count("output")
    if "billed_input_tokens" in usage:  # Cohere bills its own count, which holds nothing cached
        read, whole_in, whole_out = 0, count("billed_input"), count("billed_output")
    reasoning, audio_out = count("reasoning"), count("audio_output")
    return Tokens(
        input_text=whole_in - read - writes - audio - image,
        input_audio=audio,
        input_image=image,
        cache_read=read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        cache_write_other=writes - write_5m - write_1h,
        output_text=whole_out - reasoning - audio_out,
        output_reasoning=reasoning,
        output_audio=audio_out,
    )


def test_every_recorded_call_costs_exactly_what_the_price_lists_agree_on(
    exchanges: dict[str, Exchange], book: PriceBook, make_event: Any
) -> None:
    wrong, checked = {}, 0
    for name, exchange in exchanges.items():
        expected = exchange["expected"]
        if expected.get("expected_cost_usd") is None:
            continue
        event: Event = make_event(
            exchange["provider"],
            expected["model"],
            tokens=tokens(expected["usage"]),
            service_tier=expected.get("service_tier"),
        )
        [cost] = book.price_batch([event])
        checked += 1
        if cost.total is None or usd(cost.total) != Decimal(expected["expected_cost_usd"]):
            wrong[name] = (cost, expected["expected_cost_usd"])
    assert not wrong
    assert checked == 114


def test_what_xai_says_it_charged_is_what_we_computed(
    exchanges: dict[str, Exchange], book: PriceBook, make_event: Any
) -> None:
    """Calls without tools, whose own figure holds nothing but tokens."""
    for name in ("xai.grpc.chat.stream.03fca19a33d3", "xai.grpc.chat.stream.154152e4ca0f"):
        expected = exchanges[name]["expected"]
        event = make_event("xai", expected["model"], tokens=tokens(expected["usage"]))
        [cost] = book.price_batch([event])
        assert cost.total is not None
        assert usd(cost.total) == Decimal(expected["reported_cost_usd"])


def test_a_search_by_the_provider_costs_its_fee_on_top(
    exchanges: dict[str, Exchange], book: PriceBook, make_event: Any
) -> None:
    expected = exchanges["anthropic.messages.json.98acd7169485"]["expected"]
    event = make_event(
        "anthropic",
        expected["model"],
        tokens=tokens(expected["usage"]),
        server_tool_calls=expected["server_tool_use"],
    )
    [cost] = book.price_batch([event])
    assert cost.total is not None
    assert usd(cost.total) == Decimal(expected["expected_cost_usd"]) + Decimal("0.01")

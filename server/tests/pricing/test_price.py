"""The arithmetic: exact, in integers, the same fast, slow and told line by line."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from tokenwatcher_server.events.event import Cost, Event
from tokenwatcher_server.events.tokens import BUCKETS, INPUT_BUCKETS, Tokens
from tokenwatcher_server.kernel.money import picodollars
from tokenwatcher_server.pricing.price import (
    FAILED_CALL,
    STATED,
    explain,
    price,
    pricer,
    tool_name,
    unpriced,
)
from tokenwatcher_server.pricing.rates import (
    KINDS,
    ContextTier,
    RateLine,
    bucket_rates,
    identified,
)

LIST = {
    "input": 2_500_000,
    "input_audio": 40_000_000,
    "cache_read": 1_250_000,
    "cache_read_audio": 2_500_000,
    "cache_write": 3_125_000,
    "cache_write_1h": 5_000_000,
    "output": 10_000_000,
    "output_audio": 80_000_000,
}


def line_of(kinds: dict[str, int] = LIST, **fields: Any) -> RateLine:
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-4o",
        "source": "test",
        "rates": bucket_rates(kinds),
    }
    return identified(RateLine(**(values | fields)))


counts = st.none() | st.integers(0, 50_000_000)
rates = st.none() | st.integers(0, 600_000_000)
all_tokens = st.builds(Tokens, *[counts] * len(BUCKETS))
all_rates = st.builds(Tokens, *[rates] * len(BUCKETS))
tiers = st.lists(
    st.tuples(st.integers(0, 400_000), all_rates), max_size=2, unique_by=lambda t: t[0]
)
tool_calls = st.dictionaries(
    st.sampled_from(["web_search", "file_search", "mcp"]), st.integers(0, 9)
)


@st.composite
def lines(draw: st.DrawFn) -> RateLine:
    return line_of(
        rates=draw(all_rates),
        context_tiers=tuple(
            ContextTier(above, tier) for above, tier in sorted(draw(tiers), key=lambda t: t[0])
        ),
        calls=draw(
            st.dictionaries(st.sampled_from(["web_search", "file_search"]), st.integers(0, 10**11))
        ),
        per_request=draw(st.sampled_from([0, 12 * 10**9])),
        per_hour=draw(st.sampled_from([0, 12 * 10**11 + 1])),
    )


def oracle(event: Event, line: RateLine) -> Fraction | None:
    """The cost by the definition, in fractions of a dollar, sharing no code with `price`."""
    used = {bucket: getattr(event.tokens, bucket) for bucket in BUCKETS}
    whole_input = sum(used[bucket] or 0 for bucket in INPUT_BUCKETS)
    table = line.rates
    for tier in line.context_tiers:
        if whole_input > tier.above:
            table = tier.rates
    total = Fraction(0)
    for bucket, count in used.items():
        if count and getattr(table, bucket) is None:
            return None
        total += Fraction(count or 0) * Fraction(getattr(table, bucket) or 0, 10**12)
    for tool, count in event.server_tool_calls.items():
        total += Fraction(line.calls.get(tool, 0) * count, 10**12)
    total += Fraction(line.per_request, 10**12)
    if line.per_hour:
        if event.latency_ms is None:
            return None
        exact = Fraction(line.per_hour * event.latency_ms, 3_600_000)
        total += Fraction(int(exact + Fraction(1, 2)), 10**12)
    return total


@given(
    tokens=all_tokens, line=lines(), calls=tool_calls, latency=st.none() | st.integers(0, 3_600_000)
)
def test_every_cost_equals_an_independent_sum_of_fractions(
    make_event: Any, tokens: Tokens, line: RateLine, calls: dict[str, int], latency: int | None
) -> None:
    event = make_event(tokens=tokens, server_tool_calls=calls, latency_ms=latency)
    expected = oracle(event, line)
    cost = price(event, line)
    if all(count is None for count in astuple(tokens)) and any(astuple(line.rates)):
        assert cost.total is None
    elif expected is None:
        assert cost.total is None
        assert cost.unpriced_reason
    elif expected * 10**12 > 2**63 - 1:
        assert cost.unpriced_reason == "the cost is too large to be stored"
    else:
        assert cost.total is not None
        assert Fraction(cost.total, 10**12) == expected


@given(
    tokens=all_tokens, line=lines(), calls=tool_calls, latency=st.none() | st.integers(0, 3_600_000)
)
def test_the_compiled_pricer_and_the_explanation_say_the_same_as_the_price(
    make_event: Any, tokens: Tokens, line: RateLine, calls: dict[str, int], latency: int | None
) -> None:
    event = make_event(tokens=tokens, server_tool_calls=calls, latency_ms=latency)
    cost = price(event, line, "a rule")
    assert pricer(line, "a rule")(event) == cost
    told = explain(event, line)
    if cost.total is not None:
        assert sum(part.amount for part in told) == cost.total
        assert sum(filter(None, astuple(cost.buckets))) + (cost.fees or 0) == cost.total
        assert cost.price_id == line.id
    elif cost.unpriced_reason != "the cost is too large to be stored":
        assert told == ()
    for part in told:
        if part.unit != "ms of an hour":
            assert part.quantity * part.unit_price == part.amount


@pytest.mark.parametrize("bucket", BUCKETS)
def test_one_token_costs_exactly_its_rate(make_event: Any, bucket: str) -> None:
    line = line_of()
    cost = price(make_event(tokens=Tokens(**{bucket: 1})), line)
    assert cost.total == getattr(line.rates, bucket)
    assert getattr(cost.buckets, bucket) == cost.total


@pytest.mark.parametrize(("bucket", "kinds"), KINDS.items())
def test_a_bucket_without_its_own_price_costs_what_its_parent_does(
    bucket: str, kinds: tuple[str, ...]
) -> None:
    table = {
        kind: 1000 + i for i, kind in enumerate(dict.fromkeys(k for c in KINDS.values() for k in c))
    }
    for missing in range(len(kinds)):
        known = {kind: rate for kind, rate in table.items() if kind not in kinds[:missing]}
        assert getattr(bucket_rates(known), bucket) == table[kinds[missing]]
    none = {kind: rate for kind, rate in table.items() if kind not in kinds}
    assert getattr(bucket_rates(none), bucket) is None


def test_the_price_of_a_long_context_holds_for_the_whole_call_from_one_token_more(
    make_event: Any,
) -> None:
    long = bucket_rates({"input": 5_000_000, "cache_read": 2_000_000, "output": 15_000_000})
    line = line_of(context_tiers=(ContextTier(200_000, long),))
    at = make_event(tokens=Tokens(input_text=150_000, cache_read=50_000, output_text=10))
    over = make_event(tokens=Tokens(input_text=150_000, cache_read=50_001, output_text=10))
    assert price(at, line).total == 150_000 * 2_500_000 + 50_000 * 1_250_000 + 10 * 10_000_000
    assert price(over, line).total == 150_000 * 5_000_000 + 50_001 * 2_000_000 + 10 * 15_000_000
    assert price(over, line).cache_savings == 50_001 * 3_000_000
    assert "more than 200,000 input tokens" in explain(over, line)[0].why


def test_cached_reads_save_the_difference_to_the_uncached_rate(make_event: Any) -> None:
    event = make_event(
        tokens=Tokens(input_text=1, cache_read=10, cache_read_audio=4, output_text=1)
    )
    assert price(event, line_of()).cache_savings == 10 * 1_250_000 + 4 * 37_500_000
    assert price(make_event(), line_of()).cache_savings is None


def test_zero_tokens_cost_nothing_and_that_is_a_price(make_event: Any) -> None:
    cost = price(make_event(tokens=Tokens(input_text=0, output_text=0)), line_of())
    assert (cost.total, cost.unpriced_reason) == (0, None)


def test_output_without_a_price_is_never_free(make_event: Any) -> None:
    embeddings = line_of({"input": 20_000})
    assert (
        price(make_event(tokens=Tokens(input_text=5, output_text=0)), embeddings).total == 100_000
    )
    cost = pricer(embeddings)(make_event(tokens=Tokens(input_text=5, output_text=1)))
    assert cost.total is None
    assert cost.unpriced_reason == "the price has no rate for output"


def test_a_cost_that_no_store_could_hold_is_no_cost(make_event: Any) -> None:
    dear = line_of({"input": 10**12, "output": 10**12})
    event = make_event(tokens=Tokens(input_text=50_000_000, output_text=1))
    for cost in (price(event, dear), pricer(dear)(event)):
        assert cost.unpriced_reason == "the cost is too large to be stored"


def test_a_call_without_counts_is_unpriced_unless_its_tokens_are_free(make_event: Any) -> None:
    event = make_event(tokens=Tokens(), usage_quality="missing")
    assert price(event, line_of()).unpriced_reason == "the call has no token counts"
    assert price(event, line_of({"input": 0, "output": 0})).total == 0


def test_a_price_by_the_hour_follows_the_latency(make_event: Any) -> None:
    line = line_of({"input": 0, "output": 0}, per_hour=picodollars("3.6"))
    cost = price(make_event(latency_ms=1500), line)
    assert cost.total == cost.fees == picodollars("0.0015")
    reason = price(make_event(latency_ms=None), line).unpriced_reason
    assert reason == "the price is by the hour and the call has no latency"


def test_a_price_by_the_call_is_charged_once(make_event: Any) -> None:
    line = line_of(per_request=picodollars("0.012"))
    assert price(make_event(), line).fees == picodollars("0.012")


def test_what_an_event_does_not_count_leaves_it_unpriced(make_event: Any) -> None:
    whisper = line_of({}, uncounted=("hours of audio",))
    reason = "the price is by hours of audio, which a call doesn't count"
    assert pricer(whisper)(make_event()).unpriced_reason == reason
    silent = make_event(tokens=Tokens(input_text=0))
    assert price(silent, whisper).unpriced_reason == reason


@pytest.mark.parametrize(
    "said", ["web_search", "web_searches", "web_search_requests", "webSearchCalls", "google_search"]
)
def test_a_tool_costs_its_fee_under_any_name_it_goes_by(make_event: Any, said: str) -> None:
    line = line_of(calls={"web_search": picodollars("0.01")})
    cost = price(make_event(server_tool_calls={said: 3}), line)
    assert tool_name(said) == "web_search"
    assert cost.fees == picodollars("0.03")


def test_a_tool_without_a_fee_is_named_in_the_match(make_event: Any) -> None:
    calls = {"code_interpreter": 1, "web_fetch": 2, "mcp": 0}
    cost = price(make_event(server_tool_calls=calls), line_of(), "openai/gpt-4o")
    assert cost.price_match == "openai/gpt-4o; no fee listed for code_execution"
    assert cost.fees is None


def test_the_client_s_own_figure_wins_and_is_called_so(make_event: Any) -> None:
    event = make_event(stated_cost=42)
    for cost in (price(event, line_of()), pricer(line_of())(event), unpriced("why")(event)):
        assert cost == Cost(42, fees=42, price_match=STATED)
    assert explain(event, line_of()) == ()


@pytest.mark.parametrize("tokens", [Tokens(), Tokens(input_text=0, output_text=0)])
def test_a_failed_call_without_tokens_costs_nothing(make_event: Any, tokens: Tokens) -> None:
    event = make_event(event_type="error", status="error", tokens=tokens)
    for cost in (price(event, line_of()), pricer(line_of())(event), unpriced("why")(event)):
        assert cost == Cost(0, price_match=FAILED_CALL)


def test_a_failed_call_with_tokens_is_charged_for_them(make_event: Any) -> None:
    event = make_event(event_type="error", tokens=Tokens(input_text=7))
    assert price(event, line_of()).total == 7 * 2_500_000
    assert unpriced("why")(event) == Cost(None, unpriced_reason="why")


def test_an_explanation_says_what_was_priced_as_what(make_event: Any) -> None:
    line = line_of(service_tier="batch")
    told = {
        part.what: part.why
        for part in explain(make_event(tokens=Tokens(output_text=1, output_reasoning=1)), line)
    }
    assert told == {"output": "batch tier", "reasoning output": "priced as output, batch tier"}


def test_a_line_s_id_is_what_it_says_and_not_where_it_was_read() -> None:
    line = line_of(source_version="1")
    assert line.id == line_of(source_version="2").id
    assert line.id != line_of(per_request=1).id
    assert line.id != line_of(valid_from=0).id
    assert msgspec.json.decode(msgspec.json.encode(line), type=RateLine) == line


def test_a_day_s_window_may_run_over_midnight() -> None:
    hour = 3_600_000_000
    night = line_of(daily=(22 * hour, 2 * hour))
    assert night.holds_at(22 * hour)
    assert night.holds_at(2 * hour - 1)
    assert not night.holds_at(2 * hour)
    assert not night.holds_at(22 * hour - 1)


def test_a_line_holds_from_its_first_microsecond_until_its_last() -> None:
    line = line_of(valid_from=10, valid_to=20)
    assert [line.holds_at(t) for t in (9, 10, 19, 20)] == [False, True, True, False]

"""Every recorded answer through the real path, and the stored event beside what was expected.

A local server plays the provider; the provider's own client, or plain HTTP where there is none
here, makes the call inside `track`; the SDK sends to a server process; the event is read back
with a read key.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tokenwatcher import TokenWatcher

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore:The model '.*' is deprecated:DeprecationWarning"),
]

Exchange = dict[str, Any]
Stored = dict[str, Any]

UNSEEN = {
    "azure.realtime.stream.48646924854d": "a websocket session is no call that returns",
    "azure.realtime.stream.6bbafee6f024": "a websocket session is no call that returns",
    "gemini.live.stream.04c3faf2433d": "a websocket session is no call that returns",
    "gemini.live.stream.8631f3a83abc": "a websocket session is no call that returns",
    "openai.realtime.stream.9ca8dfc5f2ea": "a websocket session is no call that returns",
    "openai.realtime.stream.ea4cc336bbe3": "a websocket session is no call that returns",
}
"""What this SDK can't see, and why. Everything else is replayed."""

WIRE_NAMES = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_tokens": "cacheReadTokens",
    "cache_write_tokens": "cacheWriteTokens",
    "cache_write_5m_tokens": "cacheWrite5mTokens",
    "cache_write_1h_tokens": "cacheWrite1hTokens",
    "reasoning_tokens": "reasoningTokens",
    "tool_use_prompt_tokens": "toolPromptTokens",
    "audio_input_tokens": "audioInputTokens",
    "audio_output_tokens": "audioOutputTokens",
    "image_input_tokens": "imageInputTokens",
}
NOT_ON_THE_WIRE = {
    "total_tokens",  # the sum of the two wholes
    "image_output_tokens",  # travels as metadata
    "search_units",  # travels as a tool call
    "billed_input_tokens",
    "billed_output_tokens",
}


class Pin(NamedTuple):
    """Where the expectation of a recording is not what its response says."""

    why: str
    counts: Mapping[str, int | None] = MappingProxyType({})
    response_id: str | None = None
    """The right one where the expectation has another; empty where the answer has none."""


XAI = (
    "the message has no fields for cache writes and audio, where the expectation has zeros, and "
    "the recorder left the id out of it"
)
NOT_SAID = {"cacheWriteTokens": None, "audioInputTokens": None, "audioOutputTokens": None}
PINNED = {
    "openai.responses.stream.6dcacce298d3": Pin(
        "the response says nothing of cache writes or audio; the expectation has zeros",
        NOT_SAID,
    ),
    "xai.grpc.chat.stream.03fca19a33d3": Pin(XAI, NOT_SAID, ""),
    "xai.grpc.chat.stream.154152e4ca0f": Pin(XAI, NOT_SAID, ""),
    "xai.grpc.chat.stream.80f48e217597": Pin(XAI, NOT_SAID, ""),
    "xai.grpc.chat.stream.687531169cac": Pin(
        f"{XAI}; nor does it say anything of reasoning, of which the expectation has zero",
        {**NOT_SAID, "reasoningTokens": None},
        "",
    ),
    "anthropic.complete.json.ed378f64b67d": Pin(
        "the answer has an id; the expectation has none",
        response_id="compl_01EjfrPvPEsRDRUKD6VoBxtK",
    ),
    "anthropic.complete.stream.1a07dac0addb": Pin(
        "the answer has an id; the expectation has none",
        response_id="compl_01Ho8r6LNPQ9EVEAh3vpiUnQ",
    ),
}
"""Cohere is not here: it is charged by its billed units, which the expectations have as well."""

TOOL_FEES = {
    "anthropic.messages.json.98acd7169485": Decimal("0.01"),  # one search
    "gemini.generateContent.json.e6fdfc82fe0b": Decimal("0.028"),  # two queries
    "openai.responses.json.ffaefcb15fe2": Decimal("0.01"),  # one search
    "openai.responses.stream.d70e3f7886a3": Decimal("0.01"),  # one search
}
"""What a recording's server tools cost on top of its tokens, which alone are expected."""


class Replay(NamedTuple):
    """An SDK client, and how to read back what it sent."""

    watcher: TokenWatcher
    events: Callable[[str], list[Stored]]


def replay_to(instance: Any) -> Iterator[Replay]:
    watcher = TokenWatcher(
        api_key=instance.key("--name", "replay"), endpoint=instance.url, flush_interval=0.0
    )
    with instance.client(instance.key("--kind", "read")) as reader:

        def events(name: str) -> list[Stored]:
            answer = reader.get("/api/events", params={"tag.exchange": name, "days": "1"})
            assert answer.status_code == 200, answer.text
            return list(answer.json()["events"])

        yield Replay(watcher, events)
    assert watcher.shutdown()
    stats = watcher.stats()
    assert (stats.failed, stats.dropped, stats.internal_errors) == (0, 0, 0), stats


@pytest.fixture(scope="module")
def replay(instance: Any) -> Iterator[Replay]:
    yield from replay_to(instance)


@pytest.fixture(scope="module")
def other_replay(instance: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    """On a server of its own: an answer that is recorded twice counts once."""
    other = type(instance)(tmp_path_factory.mktemp("other") / "data")
    yield from replay_to(other)
    other.stop()


def test_stored_event_is_what_the_recorded_answer_says(
    exchange: Exchange, replay: Replay, provider: Any, callers: Any
) -> None:
    if exchange["name"] in UNSEEN:
        assert exchange["transport"] == "websocket"
        return
    call = callers.prepare(exchange, provider.address(exchange), asynchronous=False)
    assert call is not None
    problem = None
    try:
        answer = replay.watcher.track(lambda: call.make(), **said_by_app(exchange, call.model))
        exhaust(answer)
    except Exception as error:  # noqa: BLE001  # each client has its own
        problem = error
    check(exchange, call.model, replay, problem)


def test_asynchronous_clients_give_the_same(
    exchange: Exchange, other_replay: Replay, provider: Any, callers: Any
) -> None:
    call = callers.prepare(exchange, provider.address(exchange), asynchronous=True)
    if call is None:
        return

    async def run() -> None:
        answer = await other_replay.watcher.track(
            lambda: call.make(), **said_by_app(exchange, call.model)
        )
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass

    problem = None
    try:
        asyncio.run(run())
    except Exception as error:  # noqa: BLE001  # each client has its own
        problem = error
    check(exchange, call.model, other_replay, problem)


def test_every_recording_is_replayed_or_said_to_be_unseen(recorded: dict[str, Exchange]) -> None:
    """The tables name recordings that are there, and no recording is passed over in silence."""
    assert len(recorded) == 263
    unseen = {name for name, one in recorded.items() if one["transport"] == "websocket"}
    assert unseen == set(UNSEEN)
    assert set(PINNED) | set(TOOL_FEES) <= set(recorded)


def said_by_app(exchange: Exchange, model: str | None) -> dict[str, Any]:
    return {
        "provider": exchange["provider"],
        "model": model,
        "tags": {"exchange": exchange["name"]},
    }


def exhaust(answer: Any) -> None:
    """Read a stream to its end, as an app would."""
    pieces = answer
    if isinstance(answer, dict):
        pieces = next((answer[key] for key in ("stream", "body") if key in answer), ())
    if hasattr(pieces, "__iter__") and not isinstance(pieces, (dict, str, list)):
        for _ in pieces:
            pass


def check(exchange: Exchange, model: str | None, replay: Replay, problem: object) -> None:
    assert replay.watcher.flush(10)
    expected = exchange["expected"]
    stored = replay.events(exchange["name"])
    assert (problem is not None) == (exchange["response"]["status"] >= 400), repr(problem)
    if expected.get("error"):
        [event] = stored
        assert (event["eventType"], event["status"]) == ("error", "error")
        assert event["errorType"]
        return
    others = expected.get("other_model_usage", [])
    assert len(stored) == 1 + len(others)
    other_models = {other["model"] for other in others}
    [event] = [one for one in stored if one["model"] not in other_models]
    for other in others:
        [beside] = [one for one in stored if one["model"] == other["model"]]
        check_counts(beside, other, Pin(""))
    check_event(exchange, event, model)


def check_event(exchange: Exchange, event: Stored, model: str | None) -> None:
    expected, pin = exchange["expected"], PINNED.get(exchange["name"], Pin(""))
    assert event["eventType"] == "usage"
    assert event["model"] == (expected["model"] or model or "unknown")
    response_id = expected["response_id"] if pin.response_id is None else pin.response_id
    assert event.get("responseId") == (response_id or None)
    assert event["streaming"] == exchange["streaming"]
    if expected["usage"] is None or "search_units" in expected["usage"]:
        assert event["usageQuality"] == "missing"
        assert set(counts_of(event).values()) == {None}
    else:
        check_counts(event, expected["usage"], pin)
    if expected.get("service_tier"):
        assert event["serviceTier"] == expected["service_tier"]
    for said, stored in (("quality", "usageQuality"), ("server_tool_calls", "serverToolCalls")):
        if said in expected:
            assert event[stored] == expected[said]
    said = expected.get("reported_cost_usd")
    assert event.get("reportedCostUsd") == (said and in_picodollars(said))
    if expected.get("expected_cost_usd") is not None:
        cost = Decimal(expected["expected_cost_usd"]) + TOOL_FEES.get(exchange["name"], 0)
        assert event["priced"], event.get("unpricedReason")
        assert Decimal(event["cost"]["totalCost"]) == cost


def check_counts(event: Stored, usage: dict[str, Any], pin: Pin) -> None:
    found, wanted = counts_of(event), counts_expected(usage, pin)
    assert {name: found[name] for name in wanted} == wanted


def counts_of(event: Stored) -> dict[str, int | None]:
    return {name: event.get(name) for name in WIRE_NAMES.values()}


def counts_expected(usage: dict[str, Any], pin: Pin) -> dict[str, int | None]:
    """What the recording expects, in the names of the wire; what it does not name is not asked.

    Cohere is charged by its billed units, which leave out what it adds around a prompt and hold
    nothing cached.
    """
    assert set(usage) <= {*WIRE_NAMES, *NOT_ON_THE_WIRE, "model", "kind"}
    counts = {WIRE_NAMES[name]: count for name, count in usage.items() if name in WIRE_NAMES}
    if "billed_input_tokens" in usage:
        counts["inputTokens"] = usage["billed_input_tokens"]
        counts["outputTokens"] = usage.get("billed_output_tokens") or 0
        counts["cacheReadTokens"] = None
    return {**counts, **pin.counts}


def in_picodollars(amount: str) -> str:
    """The same amount without the noise of a provider's float."""
    exact = Decimal(amount).quantize(Decimal("1e-12"))
    return f"{exact:f}".rstrip("0").rstrip(".")

"""What a recorded exchange expects of the event that becomes of it, in the names of the wire."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sdk.tests.recorded.exchanges import Exchange

Event = dict[str, Any]

WIRE_NAMES = MappingProxyType(
    {
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
)
NOT_ON_THE_WIRE = frozenset(
    {
        "total_tokens",  # the sum of the two wholes
        "image_output_tokens",  # travels as metadata
        "search_units",  # travels as a tool call
        "billed_input_tokens",
        "billed_output_tokens",
    }
)


class Pin(NamedTuple):
    """Where the expectation of a recording is not what its response says."""

    why: str
    counts: Mapping[str, int | None] = MappingProxyType({})
    response_id: str | None = None
    """The right one where the expectation has another; empty where the answer has none."""


_XAI = (
    "the message has no fields for cache writes and audio, where the expectation has zeros, and "
    "the recorder left the id out of it"
)
_NOT_SAID = {"cacheWriteTokens": None, "audioInputTokens": None, "audioOutputTokens": None}
PINNED = MappingProxyType(
    {
        "openai.responses.stream.6dcacce298d3": Pin(
            "the response says nothing of cache writes or audio; the expectation has zeros",
            _NOT_SAID,
        ),
        "xai.grpc.chat.stream.03fca19a33d3": Pin(_XAI, _NOT_SAID, ""),
        "xai.grpc.chat.stream.154152e4ca0f": Pin(_XAI, _NOT_SAID, ""),
        "xai.grpc.chat.stream.80f48e217597": Pin(_XAI, _NOT_SAID, ""),
        "xai.grpc.chat.stream.687531169cac": Pin(
            f"{_XAI}; nor does it say anything of reasoning, of which the expectation has zero",
            {**_NOT_SAID, "reasoningTokens": None},
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
)
"""Cohere is not here: it is charged by its billed units, which the expectations have as well."""


def check_events(exchange: Exchange, events: list[Event], model: str | None) -> Event:
    """Check the events that became of an exchange; gives the one of the model that was asked for."""
    expected = exchange["expected"]
    if expected.get("error"):
        [event] = events
        assert (event["eventType"], event["status"]) == ("error", "error")
        assert event["errorType"]
        return event
    others = expected.get("other_model_usage", [])
    assert len(events) == 1 + len(others)
    other_models = {other["model"] for other in others}
    [event] = [one for one in events if one["model"] not in other_models]
    for other in others:
        [beside] = [one for one in events if one["model"] == other["model"]]
        check_counts(beside, other, Pin(""))
    _check_event(exchange, event, model)
    return event


def _check_event(exchange: Exchange, event: Event, model: str | None) -> None:
    expected, pin = exchange["expected"], PINNED.get(exchange["name"], Pin(""))
    assert event["eventType"] == "usage"
    assert event["model"] == (expected["model"] or model or "unknown")
    response_id = expected["response_id"] if pin.response_id is None else pin.response_id
    assert event.get("responseId") == (response_id or None)
    assert event["streaming"] == exchange["streaming"]
    if event["usageQuality"] == "estimated":
        assert (expected["usage"], exchange["streaming"]) == (None, True)
    elif expected["usage"] is None or "search_units" in expected["usage"]:
        assert event["usageQuality"] == "missing"
        assert set(counts_of(event).values()) == {None}
    else:
        check_counts(event, expected["usage"], pin)
    if expected.get("service_tier"):
        assert event["serviceTier"] == expected["service_tier"]
    for said, stored in (("quality", "usageQuality"), ("server_tool_calls", "serverToolCalls")):
        if said in expected:
            assert event[stored] == expected[said]


def check_counts(event: Event, usage: dict[str, Any], pin: Pin) -> None:
    found, wanted = counts_of(event), _counts_expected(usage, pin)
    assert {name: found[name] for name in wanted} == wanted


def counts_of(event: Event) -> dict[str, int | None]:
    return {name: event.get(name) for name in WIRE_NAMES.values()}


def _counts_expected(usage: dict[str, Any], pin: Pin) -> dict[str, int | None]:
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

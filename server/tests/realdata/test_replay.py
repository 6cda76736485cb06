"""Every recorded answer through the real path, and the stored event beside what was expected.

A local server plays the provider; the provider's own client, or plain HTTP where there is none
here, makes the call inside `track`; the SDK sends to a server process; the event is read back
with a read key.
"""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from sdk.tests.recorded.exchanges import Exchange
from sdk.tests.recorded.expectation import PINNED, check_events
from tokenwatcher import TokenWatcher

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore:The model '.*' is deprecated:DeprecationWarning"),
]

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
    assert (problem is not None) == (exchange["response"]["status"] >= 400), repr(problem)
    event = check_events(exchange, replay.events(exchange["name"]), model)
    expected = exchange["expected"]
    said = expected.get("reported_cost_usd")
    assert event.get("reportedCostUsd") == (said and in_picodollars(said))
    if expected.get("expected_cost_usd") is not None:
        cost = Decimal(expected["expected_cost_usd"]) + TOOL_FEES.get(exchange["name"], 0)
        assert event["priced"], event.get("unpricedReason")
        assert Decimal(event["cost"]["totalCost"]) == cost


def in_picodollars(amount: str) -> str:
    """The same amount without the noise of a provider's float."""
    exact = Decimal(amount).quantize(Decimal("1e-12"))
    return f"{exact:f}".rstrip("0").rstrip(".")

"""Every recorded answer through the client library that it was meant for, wrapped and bare.

The bare client gets an answer whole, the wrapped one in small pieces. The app must see the same,
and one event must say exactly what the answer says.
"""

from typing import Any

import pytest

from sdk.tests.recorded.calling import call, call_async
from sdk.tests.recorded.drivers import DRIVERS
from sdk.tests.recorded.exchanges import (
    ABSENT,
    RECORDED,
    load,
    load_all,
    model_of,
    must_be_here,
)
from sdk.tests.recorded.expectation import check_events
from tokenwatcher.testing import CapturedUsage

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning"),
]


def test_wrapped_client_records_and_changes_nothing(
    exchange: Any, driver: Any, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    player.play(exchange, in_pieces=False)
    bare = call(driver, clients.of(driver, exchange, "bare", asynchronous=False), exchange)
    assert bare.failed == (exchange["response"]["status"] >= 400), bare
    client = clients.of(driver, exchange, "wrapped", asynchronous=False)
    player.play(exchange, in_pieces=True)
    assert call(driver, captured.client.wrap(client), exchange) == bare
    check(exchange, captured)


def test_wrapped_client_records_asynchronously_and_changes_nothing(
    exchange: Any, driver: Any, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    player.play(exchange, in_pieces=False)
    plain = clients.of(driver, exchange, "bare", asynchronous=True)
    bare = clients.loop.run(call_async(driver, plain, exchange))
    assert bare.failed == (exchange["response"]["status"] >= 400), bare
    client = clients.of(driver, exchange, "wrapped", asynchronous=True)
    player.play(exchange, in_pieces=True)
    wrapped = captured.client.wrap(client)
    assert clients.loop.run(call_async(driver, wrapped, exchange)) == bare
    check(exchange, captured)


def check(exchange: Any, captured: CapturedUsage) -> None:
    if exchange["request"]["method"] == "GET" and not counts_when_fetched(exchange):
        assert captured.events == []  # fetched again, it is no new charge
    else:
        check_events(exchange, captured.events, model_of(exchange))


def counts_when_fetched(exchange: Any) -> bool:
    """What has run in the background, or in a batch, tells what it used when it is fetched."""
    answer = exchange["response"]["body"]
    later = answer.get("background") is True or answer["object"] == "batch"
    return bool(later and answer["status"] == "completed")


NO_CLIENT = {
    "anthropic.complete": "the library of today has no text completions any more",
    "azure.realtime": "a websocket session is no call that returns",
    "gemini.live": "a websocket session is no call that returns",
    "openai.realtime": "a websocket session is no call that returns",
    "openai.threads.runs": "the assistants, which OpenAI has shut down, are not wrapped",
    "portkey.completions": "Portkey's gateway has a library of its own, which is not wrapped",
    "replicate.predictions": "Replicate has a library of its own, which is not wrapped",
    "voyage.embeddings": "Voyage has a library of its own, which is not wrapped",
    "voyage.rerank": "Voyage has a library of its own, which is not wrapped",
    "watsonx.generate": "IBM has a library of its own, which is not wrapped",
    "writer.chat": "Writer has a library of its own, which is not wrapped",
    "writer.completions": "Writer has a library of its own, which is not wrapped",
    "xai.grpc.chat": "xAI's own library speaks gRPC and is not wrapped",
    "example.predictions": "made up, for an answer of no known shape",
}
"""What no library that is wrapped can receive, and why. `track` takes all but the sessions."""


def test_newest_clients_receive_every_exchange_but_those_said_not_to_be() -> None:
    received = {
        exchange["api"]
        for exchange in load_all().values()
        if any(driver.receives(exchange) for driver in DRIVERS)
    }
    left = {exchange["api"] for exchange in load_all().values()} - received
    assert left <= set(NO_CLIENT)
    assert not received & set(NO_CLIENT)


def test_recorded_answers_are_here() -> None:
    """They are not part of the repository. Under CI they must be here."""
    if not RECORDED.is_dir():
        if must_be_here():
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    assert len(load(RECORDED)) == 263

"""A stream counts once with every library, whether it is left, closed, cancelled or broken."""

import asyncio
import gc
from typing import Any

import pytest

from sdk.tests.recorded.calling import call, call_async
from sdk.tests.recorded.drivers import DRIVERS
from sdk.tests.recorded.exchanges import OWN, load
from tokenwatcher.testing import CapturedUsage

ANSWERS = load(OWN)
ANSWERS["mistral-chat-stream"] = {
    **ANSWERS["openai-chat-stream"],
    "provider": "mistral",
    "api": "mistral.chat",
}
LIBRARIES = {driver.name: driver for driver in DRIVERS}
STREAMS = [
    ("openai", "openai-chat-stream"),
    ("openai", "openai-responses-stream"),
    ("anthropic", "anthropic-messages-stream"),
    ("google-genai", "gemini-generate-stream"),
    ("boto3", "bedrock-converse-stream"),
    ("boto3", "bedrock-invoke-stream"),
    ("mistralai", "mistral-chat-stream"),
    ("cohere", "cohere-chat-stream"),
    ("cohere", "cohere-v1-stream"),
    ("groq", "groq-chat-stream"),
    ("ollama", "ollama-chat-stream"),
]
LAST_PIECES = {"anthropic-messages-stream": 2, "bedrock-invoke-stream": 2}
"""How many pieces at the end of a stream tell of its end, where that is not one."""
ASYNCHRONOUS = [pair for pair in STREAMS if LIBRARIES[pair[0]].asynchronous]


def begun(clients: Any, library: str, answer: str, captured: CapturedUsage) -> Any:
    """Begin a stream with a wrapped client."""
    driver = LIBRARIES[library]
    exchange = ANSWERS[answer]
    client = captured.client.wrap(clients.of(driver, exchange, "wrapped", asynchronous=False))
    stream = driver.call(client, exchange, False)
    if isinstance(stream, dict):
        stream = stream["stream"] if "stream" in stream else stream["body"]
    return stream


def unfinished(exchange: Any) -> Any:
    """The same, where the first piece of Gemini's does not say yet that it is the last one."""
    body = exchange["response"]["body"]
    if not isinstance(body, str):
        return exchange
    body = body.replace('"finishReason": "STOP", ', "", 1)
    return {**exchange, "response": {**exchange["response"], "body": body}}


def outcome(captured: CapturedUsage) -> str | None:
    """How the only event says that its stream ended; None where it says nothing of it."""
    event = captured.event
    assert event["streaming"]
    said: str | None = event.get("metadata", {}).get("streamOutcome")
    return said


# AWS's library leaves the socket of such a stream to the collector, which complains
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("library", "answer"), STREAMS)
def test_stream_that_is_left_counts_once(
    library: str, answer: str, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    player.play(ANSWERS[answer], in_pieces=False)
    stream = begun(clients, library, answer, captured)
    next(iter(stream))
    del stream
    gc.collect()
    assert outcome(captured) == "client_abort"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("library", "answer"), STREAMS)
def test_stream_that_is_left_midway_is_counted_here_as_far_as_it_came(
    library: str, answer: str, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    player.play(unfinished(ANSWERS[answer]), in_pieces=False)
    whole = len(list(begun(clients, library, answer, captured)))
    counted = captured.event
    stream = begun(clients, library, answer, captured)
    pieces = iter(stream)
    for _ in range(whole - LAST_PIECES.get(answer, 1)):
        next(pieces)
    del stream, pieces
    gc.collect()
    event = captured.events[-1]
    assert event["usageQuality"] == "estimated"
    assert event["inputTokens"] > 0
    assert 0 < event["outputTokens"] <= 3 * counted["outputTokens"] + 3


@pytest.mark.parametrize(("library", "answer"), STREAMS)
def test_stream_that_breaks_counts_once_and_breaks_as_it_would(
    library: str, answer: str, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    driver, exchange = LIBRARIES[library], ANSWERS[answer]
    player.play(exchange, in_pieces=False)
    player.breaks = True
    bare = call(driver, clients.of(driver, exchange, "bare", asynchronous=False), exchange)
    client = captured.client.wrap(clients.of(driver, exchange, "wrapped", asynchronous=False))
    assert call(driver, client, exchange) == bare
    assert bare.failed
    assert outcome(captured) == "provider_error"
    assert captured.event["status"] == "error"


@pytest.mark.parametrize(("library", "answer"), ASYNCHRONOUS)
def test_stream_of_a_cancelled_task_counts_once(
    library: str, answer: str, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    driver, exchange = LIBRARIES[library], ANSWERS[answer]
    client = captured.client.wrap(clients.of(driver, exchange, "wrapped", asynchronous=True))
    player.play(exchange, in_pieces=False)
    player.go_on.clear()

    async def cancelled() -> None:
        task = asyncio.create_task(call_async(driver, client, exchange))
        await asyncio.to_thread(player.is_waiting.wait, 5)
        await asyncio.sleep(0.1)  # the client reads what has come
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        clients.loop.run(cancelled())
    finally:
        player.go_on.set()
    gc.collect()
    assert outcome(captured) == "client_abort"


@pytest.mark.parametrize(("library", "answer"), STREAMS)
def test_stream_that_is_refused_is_an_error(
    library: str, answer: str, player: Any, clients: Any, captured: CapturedUsage
) -> None:
    driver = LIBRARIES[library]
    refused = {
        **ANSWERS[answer],
        "streaming": False,
        "response": {
            "status": 404,
            "headers": {"content-type": "application/json"},
            "body": {"error": {"message": "no such model", "code": 404, "status": "NOT_FOUND"}},
        },
    }
    asked = ANSWERS[answer]
    player.play(refused, in_pieces=False)
    bare = call(driver, clients.of(driver, asked, "bare", asynchronous=False), asked)
    client = captured.client.wrap(clients.of(driver, asked, "wrapped", asynchronous=False))
    assert call(driver, client, asked) == bare
    assert bare.failed
    event = captured.event
    assert (event["eventType"], event["errorType"]) == ("error", bare.kind.__name__)

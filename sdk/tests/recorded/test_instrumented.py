"""`instrument` records every library, and what is wrapped too counts once."""

from collections.abc import Iterator
from typing import Any

import pytest

from sdk.tests.recorded.calling import call, call_async
from sdk.tests.recorded.drivers import DRIVERS
from sdk.tests.recorded.exchanges import OWN, load, model_of
from sdk.tests.recorded.expectation import check_events
from tokenwatcher.testing import CapturedUsage

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")
OF_LIBRARY = {
    driver.name: [
        answer
        for answer in load(OWN).values()
        if driver.receives(answer) and answer["request"]["method"] == "POST"
    ]
    for driver in DRIVERS
}
CASES = [(driver, answer) for driver in DRIVERS for answer in OF_LIBRARY[driver.name]]
IDS = [f"{driver.name}-{answer['name']}" for driver, answer in CASES]
WHO_ANSWERS = {
    "anthropic": "anthropic",
    "boto3": "bedrock",
    "cohere": "cohere",
    "google-genai": "google",
    "groq": "groq",
    "mistralai": "mistral",
    "ollama": "ollama",
}


@pytest.fixture
def instrumented(captured: CapturedUsage) -> Iterator[CapturedUsage]:
    captured.client.instrument()
    yield captured
    captured.client.uninstrument()


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_instrumented_library_records_once(
    case: Any, player: Any, instrumented: CapturedUsage
) -> None:
    driver, exchange = case
    player.play(exchange, in_pieces=False)
    call(driver, driver.connect(driver.address(exchange), False), exchange)
    event = check_events(exchange, instrumented.events, model_of(exchange))
    assert event["provider"] == WHO_ANSWERS.get(driver.name, event["provider"])


@pytest.mark.parametrize("driver", DRIVERS, ids=[driver.name for driver in DRIVERS])
def test_instrumented_asynchronous_client_records_once(
    driver: Any, player: Any, clients: Any, instrumented: CapturedUsage
) -> None:
    if not driver.asynchronous:
        return
    exchange = OF_LIBRARY[driver.name][0]
    player.play(exchange, in_pieces=False)
    client = driver.connect(driver.address(exchange), True)
    clients.loop.run(call_async(driver, client, exchange))
    check_events(exchange, instrumented.events, model_of(exchange))


@pytest.mark.parametrize("driver", DRIVERS, ids=[driver.name for driver in DRIVERS])
def test_wrapped_client_of_an_instrumented_library_records_once(
    driver: Any, player: Any, instrumented: CapturedUsage
) -> None:
    exchange = OF_LIBRARY[driver.name][0]
    player.play(exchange, in_pieces=False)
    client = driver.connect(driver.address(exchange), False)
    call(driver, instrumented.client.wrap(client), exchange)
    check_events(exchange, instrumented.events, model_of(exchange))


@pytest.mark.parametrize("driver", DRIVERS, ids=[driver.name for driver in DRIVERS])
def test_library_is_left_as_it_was(driver: Any, player: Any, captured: CapturedUsage) -> None:
    exchange = OF_LIBRARY[driver.name][0]
    captured.client.instrument()
    captured.client.uninstrument()
    player.play(exchange, in_pieces=False)
    call(driver, driver.connect(driver.address(exchange), False), exchange)
    assert captured.events == []

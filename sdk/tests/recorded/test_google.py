"""What Google's library makes of one request, or of several."""

from typing import Any

from sdk.tests.recorded.drivers.google import DRIVER
from sdk.tests.recorded.exchanges import OWN, load, model_of
from sdk.tests.recorded.expectation import check_events
from tokenwatcher.testing import CapturedUsage

ANSWERS = load(OWN)


def test_message_of_a_chat_is_recorded(player: Any, captured: CapturedUsage) -> None:
    answer = ANSWERS["gemini-generate"]
    client = captured.client.wrap(DRIVER.connect(DRIVER.address(answer), False))
    player.play(answer, in_pieces=False)
    client.chats.create(model=model_of(answer)).send_message("Hello!")
    check_events(answer, captured.events, model_of(answer))


def test_streamed_message_of_a_chat_is_recorded(player: Any, captured: CapturedUsage) -> None:
    answer = ANSWERS["gemini-generate-stream"]
    client = captured.client.wrap(DRIVER.connect(DRIVER.address(answer), False))
    player.play(answer, in_pieces=True)
    for _ in client.chats.create(model=model_of(answer)).send_message_stream("Hello!"):
        pass
    check_events(answer, captured.events, model_of(answer))

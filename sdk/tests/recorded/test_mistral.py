"""What Mistral's library makes of a client's parts: each when it is first used."""

from typing import Any

from sdk.tests.recorded.drivers.mistral import connect
from tokenwatcher.testing import CapturedUsage

ADDRESS = "http://api.mistral.ai"


def test_part_that_is_made_when_it_is_first_used_is_known_as_what_it_is(
    captured: CapturedUsage,
) -> None:
    kind = type(connect(ADDRESS, False).chat)
    client = captured.client.wrap(connect(ADDRESS, False))
    chat: Any = client.chat
    assert isinstance(chat, kind)
    assert repr(chat) == repr(client.chat)
    again = captured.client.wrap(connect(ADDRESS, False))
    chat = again.chat
    chat.of_the_app = 1
    made: Any = again.chat
    assert made.of_the_app == 1

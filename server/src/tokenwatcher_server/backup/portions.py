"""A store's events in portions that fit into memory."""

from collections.abc import Iterator, Sequence

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.history import History


def portions(history: History, most: int) -> Iterator[Sequence[PricedEvent]]:
    """The events of whole commits together, some `most` at a time."""
    held: list[PricedEvent] = []
    for commit in history.commits():
        held += commit
        if len(held) >= most:
            yield held
            held = []
    if held:
        yield held

"""Everything a store has acknowledged, as a copy of it needs it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Repricing


class History(Protocol):
    """What a store held at the moment this was opened; also while the store goes on taking events.

    Both walks raise StoreRefused where what lies there is not what was acknowledged.
    """

    @property
    def events(self) -> int:
        """How many events there are."""
        ...

    def commits(self) -> Iterator[Sequence[PricedEvent]]:
        """The events commit by commit, in their order, each with the cost it had at first."""
        ...

    def repricings(self) -> Iterator[Sequence[Repricing]]:
        """The later costs commit by commit, in their order: the last one of an event holds."""
        ...

    def close(self) -> None:
        """Let go of the store's files."""
        ...

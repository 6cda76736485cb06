"""Everything that was acknowledged, commit by commit, as a copy needs it."""

from collections.abc import Iterator, Sequence
from typing import Final

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Repricing, StoreRefused, StoreUnavailable
from tokenwatcher_server.stores.clickhouse.connection import LONG_SECONDS, Connection, address_of
from tokenwatcher_server.stores.clickhouse.rows import SELECTED, Row, read

EVENTS_AT_ONCE: Final = 10_000


class ClickHouseHistory:
    """See `events/history.py`. Raises StoreRefused for a server that can't be asked."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(address_of(url), LONG_SECONDS)
        try:
            [(self._last, self._events)] = self._connection.rows(
                "select greatest(max(sequence), max(changed)), count() from events final"
            )
        except StoreUnavailable as error:
            self._connection.close()
            raise StoreRefused(f"EVENTS_URL: it holds no events: {error}") from None

    @property
    def events(self) -> int:
        return int(self._events)

    def commits(self) -> Iterator[Sequence[PricedEvent]]:
        for first, last in self._stretches():
            commit: list[PricedEvent] = []
            sequence = first
            for row in self._rows(f"sequence between {first} and {last}"):
                if row.sequence != sequence and commit:
                    yield commit
                    commit = []
                sequence = row.sequence
                commit.append(PricedEvent(row.priced.event, row.costs[0].cost))
            yield commit

    def repricings(self) -> Iterator[Sequence[Repricing]]:
        changes = sorted(
            (
                (cost.changed, cost.change, row.priced.event, cost.cost)
                for row in self._rows(f"changed > 0 and sequence <= {self._last}")
                for cost in row.costs[1:]
                if cost.changed <= self._last
            ),
            key=lambda change: change[:2],
        )
        for changed in dict.fromkeys(change[0] for change in changes):
            yield [
                Repricing(event.workspace_id, event.id, cost)
                for of, _, event, cost in changes
                if of == changed
            ]

    def close(self) -> None:
        self._connection.close()

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """The first and last commits of stretches that are read at once, in order."""
        counts = self._connection.rows(
            "select sequence, count() from events final"
            f" where sequence <= {self._last} group by sequence order by sequence"
        )
        first, held = None, 0
        for sequence, events in counts:
            first = sequence if first is None else first
            held += events
            if held >= EVENTS_AT_ONCE:
                yield first, sequence
                first, held = None, 0
        if first is not None:
            yield first, counts[-1][0]

    def _rows(self, where: str) -> Sequence[Row]:
        return read(
            self._connection.rows(
                f"select {SELECTED} from events final where {where} order by sequence, position"
            )
        )

"""What there is, in numbers, for `/metrics` and for pages that stay as they are without news."""

from collections.abc import Mapping
from typing import Final

from tokenwatcher_server.stores.clickhouse.connection import Connection

_EVENTS: Final = "select count() from events final"
_DISK: Final = (
    "select sum(total_bytes) from system.tables"
    " where database = currentDatabase() and name in ('events', 'events_local')"
)
_COMMITS: Final = (
    "select greatest(max(max_block_number), max(data_version)) from system.parts"
    " where database = currentDatabase() and table = 'events' and active"
)
"""The last insert has the highest number, or the last erasure, whatever was merged since."""


class Statistics:
    """Counts the events again only after something was stored.

    Of a cluster no one server knows how many commits there were, so it has no such number.
    """

    def __init__(self, connection: Connection, cluster: str | None) -> None:
        self._connection = connection
        self._cluster = cluster
        self._counted: tuple[int, int] | None = None

    def take(self) -> Mapping[str, int]:
        [(disk,)] = self._connection.rows(_DISK)
        if self._cluster is not None:
            return {"events": self._count(), "disk_bytes": disk or 0}
        [(commits,)] = self._connection.rows(_COMMITS)
        counted = self._counted
        if counted is None or counted[0] != commits:
            self._counted = counted = (commits, self._count())
        return {"events": counted[1], "commits": commits, "disk_bytes": disk or 0}

    def _count(self) -> int:
        [(events,)] = self._connection.rows(_EVENTS)
        return int(events)

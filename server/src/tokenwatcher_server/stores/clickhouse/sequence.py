"""The numbers of commits: ascending on one server, and different on any two."""

import secrets
from typing import Final

from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.stores.clickhouse.connection import Connection

_SERVERS: Final = 1_024


class Sequences:
    """A number is the microsecond it was taken at, and which server took it.

    So the first of two commits is the one with the smaller number, up to what the servers' clocks
    differ by.
    """

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._clock = clock
        self._server = secrets.randbelow(_SERVERS)
        [(last,)] = connection.rows("select greatest(max(sequence), max(changed)) from events")
        self._last_us = int(last) // _SERVERS

    def take(self) -> int:
        self._last_us = max(self._last_us + 1, self._clock.now_us())
        return self._last_us * _SERVERS + self._server

"""For the tests of apps: see what would have been recorded, without a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokenwatcher.client import TokenWatcher
from tokenwatcher.transport import MemoryTransport


class CapturedUsage:
    """Events as they would have gone over the wire."""

    def __init__(self, client: TokenWatcher, transport: MemoryTransport) -> None:
        self.client = client
        """Give this one to the code under test."""
        self._transport = transport

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far, oldest first, with the names of the wire (`inputTokens`, ...)."""
        self.client.flush()
        found: list[dict[str, Any]] = []
        for _path, body in self._transport.posts:
            sent = json.loads(body)
            found.extend(sent.get("events", [sent]))
        return found

    @property
    def event(self) -> dict[str, Any]:
        """The only event; an AssertionError where there is not exactly one."""
        events = self.events
        if len(events) != 1:
            raise AssertionError(f"expected one event, recorded {len(events)}")
        return events[0]


@contextmanager
def captured_usage(**settings: Any) -> Iterator[CapturedUsage]:
    """Give a client that sends nothing and keeps everything.

    `settings` are those of `TokenWatcher`.
    """
    transport = MemoryTransport()
    client = TokenWatcher(
        **{"api_key": "captured", "flush_interval": 0.0, **settings, "transport": transport}
    )
    try:
        yield CapturedUsage(client, transport)
    finally:
        client.shutdown()

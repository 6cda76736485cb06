"""Making the columns anew at a start says what is going on and how far it is."""

import asyncio
import io
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tokenwatcher_server.cli.rebuilding import rebuilding_bar
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.clock import FrozenClock
from tokenwatcher_server.stores import Progress, open_store
from tokenwatcher_server.stores.embedded.rebuild import SILENT_ROWS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def without_columns(tmp_path_factory: pytest.TempPathFactory, cast: Any) -> Path:
    """A folder whose columns were lost, with more events than are made anew in silence."""
    folder = tmp_path_factory.mktemp("rebuilding") / "data"
    event = cast.event()

    def another(number: int) -> Any:
        changed = msgspec.structs.replace(event.event, id=f"event-number-{number:06}")
        return msgspec.structs.replace(event, event=changed)

    async def fill() -> None:
        store = await open_store(None, folder, FrozenClock(cast.noon))
        await store.append([[another(n) for n in range(SILENT_ROWS + 1)]])
        await store.close()

    asyncio.run(fill())
    return folder


def events_after_a_start(folder: Path, cast: Any, progress: Progress | None) -> int:
    (folder / "events.duckdb").unlink()

    async def start() -> int:
        store: EventStore = await open_store(None, folder, FrozenClock(cast.noon), progress)
        [[row]] = await store.usage([cast.query("calls")])
        await store.close()
        return int(row.values[0] or 0)

    return asyncio.run(start())


def test_a_terminal_shows_a_bar_that_ends_full(without_columns: Path, cast: Any) -> None:
    terminal = Terminal()
    found = events_after_a_start(without_columns, cast, rebuilding_bar(terminal))
    assert found == SILENT_ROWS + 1
    assert "Making the columns anew from the journal" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_elsewhere_the_log_says_it(
    without_columns: Path, cast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    progress = rebuilding_bar(io.StringIO())
    assert progress is None
    with caplog.at_level(logging.WARNING):
        events_after_a_start(without_columns, cast, progress)
    assert "events.duckdb from the journal" in caplog.text
    assert f"events made anew: {SILENT_ROWS + 1} of {SILENT_ROWS + 1}" in caplog.text

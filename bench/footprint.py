"""What a store takes on disk, and a server to start and to sit idle."""

import sqlite3
import time
from pathlib import Path

from bench.instance import running
from bench.memory import pss_mb
from bench.row import Row
from bench.scale import millions
from bench.stores import filled
from tokenwatcher_server.stores.embedded.files import StoreFiles

SETTLE_SECONDS = 4.0


def measure_start_and_idle(folder: Path) -> list[Row]:
    with running(folder) as server:
        time.sleep(SETTLE_SECONDS)
        idle = pss_mb(server.pid)
    held = _held(folder)
    return [
        Row(
            figure=f"from command to /readyz, {held}",
            measured=server.ready_seconds,
            unit="s",
            better="lower",
            target=1.5,
        ),
        Row(
            figure=f"memory when idle, {held}", measured=idle, unit="MB", better="lower", target=200
        ),
    ]


def measure_disk(folder: Path) -> list[Row]:
    """Bytes an event; the engines' own overhead is in them."""
    events = filled(folder).events
    files = StoreFiles(folder)
    journal, ids = _journal_bytes(files.journal)
    columns = files.columns.stat().st_size
    responses = sum(path.stat().st_size for path in files.responses.rglob("*"))
    parts = {"journal": journal, "ids": ids, "columns": columns, "response index": responses}
    whole = Row(
        figure=f"bytes on disk per event, {_held(folder)}",
        measured=(journal + ids + columns) / events,
        unit="bytes",
        better="lower",
        target=180,
        note="journal, ids and columns",
    )
    return [
        whole,
        *(
            Row(figure=f"  of which {name}" if name != "response index" else "  besides, response index",
                measured=size / events, unit="bytes", better="lower")
            for name, size in parts.items()
        ),
    ]  # fmt: skip


def _held(folder: Path) -> str:
    return f"{millions(filled(folder).events)} events"


def _journal_bytes(path: Path) -> tuple[int, int]:
    """The journal's segments, and its ids with all else that SQLite keeps."""
    whole = path.stat().st_size
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ((segments,),) = connection.execute("select sum(length(body)) from segments").fetchall()
    connection.close()
    return segments or 0, whole - (segments or 0)

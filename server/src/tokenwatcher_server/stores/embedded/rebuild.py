"""Makes what is derived anew from the journal: the columns, and the response index."""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from tokenwatcher_server.events.store import StoreRefused
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.columns import Columns, ColumnsUnusable
from tokenwatcher_server.stores.embedded.files import StoreFiles, claimed, prepare
from tokenwatcher_server.stores.embedded.journal import JournalReader
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex
from tokenwatcher_server.stores.embedded.writing import learn

STEP_ROWS = 60_000

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)


def open_columns(files: StoreFiles, journal: JournalReader, *, threads: int) -> Columns:
    """Open the columns, or start empty ones where they are lost or can't be used.

    The applier fills empty columns from the journal, so nothing but time is lost.
    """
    try:
        columns = Columns(files.columns, files.spill, threads=threads)
        if journal.hash_at(columns.applied.sequence) == columns.applied.hash:
            return columns
        columns.close()
        reason = "it belongs to another journal"
    except ColumnsUnusable as unusable:
        reason = str(unusable)
    _log.warning("%s is made anew from the journal: %s", files.columns.name, reason)
    _remove_columns(files.columns)
    return Columns(files.columns, files.spill, threads=threads)


def rebuild(files: StoreFiles, progress: Progress) -> int:
    """Make the columns and the response index anew beside the old ones, then swap them in.

    Raises StoreRefused while another process holds the folder, or where it has no journal.
    """
    if not files.journal.exists():
        raise StoreRefused(f"there is no journal in {files.folder}: nothing to make anew from")
    prepare(files)
    new = files.columns.with_suffix(".new")
    with claimed(files), closing(JournalReader(files.journal)) as journal:
        _remove_columns(new)
        shutil.rmtree(files.responses)
        files.responses.mkdir(mode=0o700)
        total = journal.head().total
        with (
            closing(Columns(new, files.spill, threads=os.cpu_count() or 1)) as columns,
            closing(ResponseIndex(files.responses, journal.hash_at)) as responses,
        ):
            numbers = journal.workspace_numbers()
            for step in _steps(journal.links(0)):
                columns.apply(step)
                for link in step:
                    learn(responses, link, numbers)
                progress(columns.applied.total, total)
        _remove_columns(files.columns)
        new.replace(files.columns)
    return total


def _steps(links: Iterable[Link]) -> Iterator[list[Link]]:
    step: list[Link] = []
    rows = 0
    for link in links:
        step.append(link)
        rows += link.rows
        if rows >= STEP_ROWS:
            yield step
            step, rows = [], 0
    if step:
        yield step


def _remove_columns(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".wal").unlink(missing_ok=True)

"""Makes what is derived anew from the journal: the columns, and the response index."""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain, islice

from tokenwatcher_server.events.store import StoreRefused
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.columns_file import remove_columns
from tokenwatcher_server.stores.embedded.damage import readable
from tokenwatcher_server.stores.embedded.files import StoreFiles, claimed
from tokenwatcher_server.stores.embedded.files import prepare as prepare_folder
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.prepare import Prepared, Read, prepare, read
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex
from tokenwatcher_server.stores.embedded.stamp import (
    ColumnsUnusable,
    refuse_what_the_journal_lacks,
)
from tokenwatcher_server.stores.embedded.writing import learn

STEP_ROWS = 20_000
STRETCH_ROWS = 2_000_000
"""Rows in one transaction: what is rebuilt is written once, not again at every checkpoint."""
LOGGED_ROWS = 500_000
"""Rows between two lines of the log."""
SILENT_ROWS = 150_000
"""So many missing rows the applier adds by itself beside a running server: a crash leaves fewer."""

Progress = Callable[[int, int], None]
Learn = Callable[[Sequence[Read]], None]

_log = logging.getLogger(__name__)


def open_columns(
    files: StoreFiles,
    journal: JournalReader,
    *,
    threads: int,
    question_seconds: float,
    progress: Progress | None,
) -> Columns:
    """Open the columns; where they are lost or can't be used, make them anew first.

    How far that is goes to `progress`, or else to the log.
    """

    def open_them() -> Columns:
        return Columns(
            files.columns, files.spill, threads=threads, question_seconds=question_seconds
        )

    try:
        columns = open_them()
    except ColumnsUnusable as unusable:
        _log.warning("%s is made anew from the journal: %s", files.columns.name, unusable)
        remove_columns(files.columns)
        columns = open_them()
    if journal.head().total - columns.applied.total > SILENT_ROWS:
        _log.warning("the events are put into %s from the journal", files.columns.name)
        fill(columns, journal, lambda _: None, progress or log_progress)
    return columns


def rebuild(files: StoreFiles, progress: Progress) -> int:
    """Make the columns and the response index anew beside the old ones, then swap them in.

    Raises StoreRefused while another process holds the folder, where it has no journal, and
    where the journal lacks events that what is there was made from; StoreUnavailable where it
    can't be read.
    """
    refuse_what_the_journal_lacks(files)
    if not files.journal.exists():
        raise StoreRefused(f"there is no journal in {files.folder}: nothing to make anew from")
    prepare_folder(files)
    new = files.new_columns
    with readable(), claimed(files), closing(JournalReader(files.journal)) as journal:
        remove_columns(new)
        shutil.rmtree(files.responses)
        files.responses.mkdir(mode=0o700)
        with (
            closing(Columns(new, files.spill, threads=1)) as columns,
            closing(ResponseIndex(files.responses, journal.hash_at)) as responses,
        ):
            fill(columns, journal, learning(responses, journal), progress)
            total = columns.applied.total
        remove_columns(files.columns)
        new.replace(files.columns)
    return total


def learning(responses: ResponseIndex, journal: JournalReader) -> Learn:
    """What adds segments to a response index."""

    def learn_all(segments: Sequence[Read]) -> None:
        numbers = journal.workspace_numbers()  # new ones may come while this goes on
        for link, segment in segments:
            learn(responses, link, segment, numbers)

    return learn_all


def fill(columns: Columns, journal: JournalReader, also: Learn, progress: Progress) -> None:
    """Bring columns up to the journal: one thread prepares what the other one writes."""
    total = journal.head().total
    steps = _steps(journal.sound_links(columns.applied.sequence))
    with ThreadPoolExecutor(1, "rebuild") as ahead:
        prepared = _prepared(steps, columns.tag_slots, also, ahead)
        while stretch := list(islice(prepared, 1)):
            columns.load(_reported(_stretch(chain(stretch, prepared)), total, progress))
            columns.fold_in(always=True)


def _prepared(
    steps: Iterator[list[Link]], tag_slots: dict[str, int], also: Learn, ahead: ThreadPoolExecutor
) -> Iterator[Prepared]:
    """Prepare each step while the one before it is being used."""

    def work(links: list[Link], slots: dict[str, int]) -> Prepared:
        segments = read(links)
        also(segments)
        return prepare(segments, slots)

    following: Future[Prepared] | None = None
    for links in chain(steps, [None]):
        ready = following.result() if following else None
        slots = ready.tag_slots if ready else tag_slots
        following = ahead.submit(work, links, slots) if links else None
        if ready:
            yield ready


def _stretch(prepared: Iterator[Prepared]) -> Iterator[Prepared]:
    """As much as goes into one transaction."""
    first = None
    for each in prepared:
        first = first or each
        yield each
        if each.applied.total - first.applied.total >= STRETCH_ROWS:
            return


def _reported(prepared: Iterator[Prepared], total: int, progress: Progress) -> Iterator[Prepared]:
    for each in prepared:
        yield each
        progress(min(each.applied.total, total), total)


def log_progress(done: int, total: int) -> None:
    if done == total or done % LOGGED_ROWS < STEP_ROWS:
        _log.warning("events made anew: %d of %d", done, total)


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

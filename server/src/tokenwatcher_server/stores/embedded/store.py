"""The embedded store: commits to the journal, answers from the columns."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.query import EventFilter, Scope, UsageQuery, UsageRow
from tokenwatcher_server.events.store import (
    Outcome,
    Repricing,
    StoredEvent,
    StoreRefused,
    StoreUnavailable,
    Verification,
)
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.embedded import reading
from tokenwatcher_server.stores.embedded.applier import Applier
from tokenwatcher_server.stores.embedded.damage import readable
from tokenwatcher_server.stores.embedded.erase import Eraser
from tokenwatcher_server.stores.embedded.files import StoreFiles, claimed, files_of
from tokenwatcher_server.stores.embedded.files import prepare as prepare_folder
from tokenwatcher_server.stores.embedded.journal import Journal
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.prepare import read
from tokenwatcher_server.stores.embedded.rebuild import (
    Progress,
    learning,
    log_progress,
    open_columns,
)
from tokenwatcher_server.stores.embedded.renewal import Renewal
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex
from tokenwatcher_server.stores.embedded.stamp import refuse_what_the_journal_lacks
from tokenwatcher_server.stores.embedded.usage import answer
from tokenwatcher_server.stores.embedded.verify import verify
from tokenwatcher_server.stores.embedded.writing import Writer

PATIENCE_SECONDS = 10.0
"""How long a question waits for the columns to reach the journal."""
READERS = 4

T = TypeVar("T")
_log = logging.getLogger(__name__)


class EmbeddedStore:
    """An EventStore in a folder. One process at a time; any number of tasks."""

    def __init__(
        self,
        files: StoreFiles,
        clock: Clock,
        rebuilding: Progress | None,
        question_seconds: float,
    ) -> None:
        self._files = files
        with ExitStack() as stack:
            prepare_folder(files)
            stack.enter_context(claimed(files))
            refuse_what_the_journal_lacks(files)
            self._journal = Journal(files.journal, clock)
            stack.callback(self._journal.close)
            self._reader = JournalReader(files.journal)
            stack.callback(self._reader.close)
            self._lookups = JournalReader(files.journal)
            stack.callback(self._lookups.close)
            self._upkeep = JournalReader(files.journal)
            stack.callback(self._upkeep.close)
            self._columns = open_columns(
                files,
                self._reader,
                threads=_query_threads(),
                question_seconds=question_seconds,
                progress=rebuilding,
            )
            stack.callback(self._columns.close)
            self._responses = ResponseIndex(files.responses, self._reader.hash_at)
            stack.callback(self._responses.close)
            self._catch_up_responses()
            self._applier = Applier(self._columns, self._reader)
            stack.callback(self._applier.close)
            self._resources = stack.pop_all()
        self._writer = Writer(self._journal, self._responses, self._applier.announce)
        self._writing = ThreadPoolExecutor(1, "journal")
        self._reading = ThreadPoolExecutor(READERS, "query")
        self._keeping_up = ThreadPoolExecutor(1, "upkeep")  # one erasure or check at a time
        self._eraser = self._new_eraser(files)
        self._finish_erasure(rebuilding)

    async def append(self, batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
        return await self._write(lambda: self._writer.append(batches))

    async def usage(self, queries: Sequence[UsageQuery]) -> list[list[UsageRow]]:
        return await self._read(lambda: answer(self._columns, queries))

    async def events(self, wanted: EventFilter) -> list[StoredEvent]:
        return await self._read(lambda: reading.events(self._columns, self._lookups, wanted))

    async def event(self, scope: Scope, event_id: str) -> StoredEvent | None:
        return await self._read(
            lambda: reading.event(self._columns, self._lookups, scope, event_id)
        )

    async def tag_keys(self, scope: Scope) -> list[str]:
        return await self._read(lambda: reading.tag_keys(self._columns, scope))

    async def reprice(self, changes: Sequence[Repricing]) -> int:
        return await self._write(lambda: self._writer.reprice(changes))

    async def rebuild_totals(
        self,
        period: Period,  # noqa: ARG002 - the promise's signature
        workspaces: Sequence[WorkspaceId] | None,  # noqa: ARG002
    ) -> int:
        """`tokenwatcher store rebuild` makes them anew, with all else that is derived."""
        return 0

    async def erase(self, erasures: Sequence[Erasure]) -> list[int]:
        return await self._keep_up(lambda: self._eraser.erase(erasures))

    async def verify(self) -> Verification:
        return await self._keep_up(self._verify)

    async def ready(self) -> bool:
        try:
            await self._write(self._journal.probe)
        except StoreUnavailable:
            return False
        return True

    async def statistics(self) -> Mapping[str, int]:
        head = self._journal.head
        return {
            "events": head.total,
            "commits": head.sequence,
            "applied_commits": self._applier.applied,
            "disk_bytes": self._files.bytes_on_disk(),
        }

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)

    async def _read(self, work: Callable[[], T]) -> T:
        """Run a question once the columns hold everything acknowledged before it."""
        sequence = self._journal.head.sequence

        def up_to_date() -> T:
            self._applier.wait_for(sequence, PATIENCE_SECONDS)
            with readable():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._reading, up_to_date)

    async def _keep_up(self, work: Callable[[], T]) -> T:
        def read() -> T:
            with readable():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._keeping_up, read)

    def _written(self, work: Callable[[], T]) -> T:
        """Do something on the thread that commits, from another thread."""
        return self._writing.submit(work).result()

    def _verify(self) -> Verification:
        extent = self._written(self._responses.extent)
        self._applier.wait_for(self._journal.head.sequence, PATIENCE_SECONDS)
        return verify(self._files.journal, self._columns, self._responses, extent)

    def _new_eraser(self, files: StoreFiles) -> Eraser:
        derived = (self._columns, self._responses, self._applier)
        renewal = Renewal(files, self._upkeep, *derived)
        return Eraser(self._journal, self._upkeep, *derived, renewal, self._written)

    def _finish_erasure(self, progress: Progress | None) -> None:
        """What was begun before a crash is finished before the first question."""
        try:
            self._eraser.finish(progress or log_progress)
        except StoreUnavailable as error:
            _log.error("an erasure is not finished, and is tried again with the next: %s", error)
        except BaseException:
            self._close()
            raise

    def _catch_up_responses(self) -> None:
        learn_all = learning(self._responses, self._reader)
        for link in self._reader.sound_links(self._responses.covered):
            learn_all(read([link]))

    def _close(self) -> None:
        self._eraser.stop()
        self._keeping_up.shutdown()
        self._writing.shutdown()
        self._reading.shutdown()
        self._resources.close()


def open_embedded(
    data_dir: Path, clock: Clock, rebuilding: Progress | None, question_seconds: float
) -> EmbeddedStore:
    """Open the store in a data folder. Raises StoreRefused; may take long where it must mend."""
    try:
        with readable():
            return EmbeddedStore(files_of(data_dir), clock, rebuilding, question_seconds)
    except StoreUnavailable as damage:
        raise StoreRefused(str(damage)) from damage


def _query_threads() -> int:
    """Half of the processors for one question: the other half goes on taking events in."""
    return max(1, (os.cpu_count() or 1) // 2)

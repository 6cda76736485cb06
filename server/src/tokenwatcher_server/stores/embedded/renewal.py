"""Makes what is derived anew while the store runs: events that were erased stay in its files else.

DuckDB keeps deleted rows where they were, and a run of fingerprints is never changed. So both
are made from the journal beside the old ones, as a rebuild does, and take their place.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from typing import Any

import duckdb

from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.stores.embedded.applier import Applier
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.columns_file import remove_columns
from tokenwatcher_server.stores.embedded.files import StoreFiles
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.prepare import read
from tokenwatcher_server.stores.embedded.rebuild import Progress, fill, learning
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex

Write = Callable[[Callable[[], Any]], Any]
"""Runs something on the thread that commits, and waits for it."""


class Renewal:
    """Makes the columns and the response index anew. Used from one thread."""

    def __init__(
        self,
        files: StoreFiles,
        journal: JournalReader,
        columns: Columns,
        responses: ResponseIndex,
        applier: Applier,
    ) -> None:
        self._files, self._journal, self._applier = files, journal, applier
        self._columns, self._responses = columns, responses

    def renew(self, write: Write, progress: Progress) -> None:
        """Put new ones in the place of the old; `progress` may end it by an exception.

        1. Make new ones of all there is, while events are taken in and questions answered.
        2. Add what came meanwhile to the columns, and exchange them between two questions.
        3. The same for the response index, between two commits.

        Raises StoreUnavailable where the disk does not take them.
        """
        self._clear()
        try:
            self._make(write, progress)
        except (duckdb.Error, OSError) as error:
            raise StoreUnavailable(f"the columns can't be made anew: {error}") from error
        finally:
            self._clear()

    def _make(self, write: Write, progress: Progress) -> None:
        files = self._files
        for folder in (files.new_responses, files.new_spill):
            folder.mkdir(mode=0o700)
        with closing(ResponseIndex(files.new_responses, self._journal.hash_at)) as responses:
            learn_all = learning(responses, self._journal)
            with closing(Columns(files.new_columns, files.new_spill, threads=1)) as columns:
                fill(columns, self._journal, learn_all, progress)
                with self._applier.paused():
                    fill(columns, self._journal, learn_all, progress)
                    columns.close()
                    self._columns.take_over(files.new_columns)
            write(lambda: self._exchange(responses))

    def _exchange(self, responses: ResponseIndex) -> None:
        learn_all = learning(responses, self._journal)
        for link in self._journal.links_in_portions(responses.covered):
            learn_all(read([link]))
        responses.close()
        self._responses.take_over(self._files.new_responses)

    def _clear(self) -> None:
        remove_columns(self._files.new_columns)
        for folder in (self._files.new_responses, self._files.new_spill):
            shutil.rmtree(folder, ignore_errors=True)

"""Takes events out of the store for good.

1. Write down what is to be erased, so that a start goes on with it.
2. Find the segments that hold such events, by the columns.
3. Rewrite them, some thousand rows in one transaction, each with a note in the chain.
4. Take later prices of removed events out of theirs.
5. Make what is derived anew from what is left.
6. Leave nothing of it in the journal's log and gaps, and forget what was to be erased.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.stores.embedded.applier import Applier
from tokenwatcher_server.stores.embedded.chain import Link
from tokenwatcher_server.stores.embedded.columns import Columns
from tokenwatcher_server.stores.embedded.erase_step import ErasureStep
from tokenwatcher_server.stores.embedded.journal import Journal
from tokenwatcher_server.stores.embedded.journal_reader import JournalReader
from tokenwatcher_server.stores.embedded.notes import Notes
from tokenwatcher_server.stores.embedded.rebuild import Progress
from tokenwatcher_server.stores.embedded.redact import Redacted, redacted, repricings_without
from tokenwatcher_server.stores.embedded.renewal import Renewal, Write
from tokenwatcher_server.stores.embedded.response_index import ResponseIndex
from tokenwatcher_server.stores.embedded.segment import Segment, decode
from tokenwatcher_server.stores.identity import pack_ids
from tokenwatcher_server.stores.sql import Bindings

STEP_ROWS = 10_000
"""Rows that one transaction rewrites: commits wait for it."""
PATIENCE_SECONDS = 60.0
"""How long an erasure waits for the columns to reach the journal."""

Redact = Callable[[Segment], Redacted | None]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Erasure])


class Eraser:
    """Erases on a thread of its own, one after the other; what commits, `write` runs elsewhere."""

    def __init__(
        self,
        journal: Journal,
        reader: JournalReader,
        columns: Columns,
        responses: ResponseIndex,
        applier: Applier,
        renewal: Renewal,
        write: Write,
    ) -> None:
        self._journal, self._reader, self._write = journal, reader, write
        self._columns, self._responses, self._applier = columns, responses, applier
        self._renewal = renewal
        self._notes = Notes()
        self._stopping = threading.Event()

    def erase(self, erasures: Sequence[Erasure]) -> list[int]:
        """See `EventStore.erase`."""
        self.finish(self._stop_if_asked)
        self._applier.wait_for(self._journal.head.sequence, PATIENCE_SECONDS)
        if not any(map(self._sequences, erasures)):
            return [0] * len(erasures)
        self._write(lambda: self._journal.begin_erasure(_encoder.encode(erasures)))
        return self._work(erasures, self._stop_if_asked, began_before=False)

    def finish(self, progress: Progress) -> None:
        """Go on with the erasure that was begun and not finished, where there is one."""
        begun = self._write(self._journal.pending)
        if begun is not None:
            self._applier.wait_for(self._journal.head.sequence, PATIENCE_SECONDS)
            self._work(_decoder.decode(begun), progress, began_before=True)

    def stop(self) -> None:
        """End what is going on at the next chance; it is finished after the next start."""
        self._stopping.set()

    def _work(
        self, erasures: Sequence[Erasure], progress: Progress, *, began_before: bool
    ) -> list[int]:
        touched = [self._take_out(erasure, again=began_before) for erasure in erasures]
        changed = any(touched) or began_before
        if changed:
            self._renewal.renew(self._write, progress)
        thoroughly = changed and any(erasure.user is not None for erasure in erasures)
        self._write(lambda: self._journal.end_erasure(thoroughly=thoroughly))
        return touched

    def _take_out(self, erasure: Erasure, *, again: bool) -> int:
        sequences = self._sequences(erasure)
        touched = self._rewrite(sequences, erasure, lambda segment: redacted(segment, erasure))
        if erasure.fate == "remove" and (touched or again):
            self._rewrite(self._reader.repricings(), erasure, self._without_the_removed)
        return touched

    def _sequences(self, erasure: Erasure) -> list[int]:
        """The segments that may hold events that the erasure names, and all that do."""
        if not erasure.workspaces:
            return []
        bindings = Bindings()
        conditions = [f"workspace_id in ({bindings.bind_all(erasure.workspaces)})"]
        if erasure.user is not None:
            user = bindings.bind(erasure.user)
            conditions.append(f"(user_id = {user} or end_user_id = {user})")
        else:
            conditions.append(f"occurred_at < {bindings.bind(erasure.before_us)}")
        if erasure.fate == "forget-prompts":
            named = " or ".join(
                f"contains(details, {bindings.bind(text)})"
                for text in ('"prompt":', '"completion":')
            )
            conditions.append(f"({named})")
        with self._columns.snapshot() as snapshot:
            found = snapshot.rows(
                f"select distinct sequence from events where {' and '.join(conditions)}"
                " order by sequence",
                bindings.values,
            )
        return [sequence for (sequence,) in found]

    def _rewrite(self, sequences: Sequence[int], erasure: Erasure, redact: Redact) -> int:
        left, touched = deque(sequences), 0
        while left:
            self._stop_if_asked()
            touched += self._write(lambda: self._step(left, erasure, redact))
        return touched

    def _step(self, left: deque[int], erasure: Erasure, redact: Redact) -> int:
        """Rewrite the next segments, on the thread that commits."""
        self._reader.read_notes(self._notes)
        step = ErasureStep(self._reader.workspace_numbers(), marks=erasure.user is not None)
        rows = 0
        while left and rows < STEP_ROWS:
            link = self._reader.link(left.popleft())
            if link is None:
                continue
            rows += link.rows
            segment = decode(link.body)
            found = redact(segment)
            if found is not None:
                step.add(link, segment, found)
        if step.touched:
            self._commit(step)
        return step.touched

    def _commit(self, step: ErasureStep) -> None:
        link: Link = self._journal.commit_erasure(step.change(self._notes))
        self._responses.add([], link.sequence, link.hash, 0)
        self._applier.announce(link)

    def _without_the_removed(self, segment: Segment) -> Redacted | None:
        """A repricing without the events that are in the journal no more."""
        numbers = self._reader.workspace_numbers()
        workspaces, packed = segment.values("workspace_id"), pack_ids(segment.values("id"))
        keys = [(numbers[each], one) for each, one in zip(workspaces, packed, strict=True)]
        held = self._reader.find(keys)
        removed = [
            row
            for row, (key, sequence) in enumerate(
                zip(keys, segment.values("sequence"), strict=True)
            )
            if key not in held or held[key].sequence != sequence
        ]
        return repricings_without(segment, removed) if removed else None

    def _stop_if_asked(self, *_: int) -> None:
        if self._stopping.is_set():
            raise StoreUnavailable("the store is being closed; the next start finishes the erasure")

"""One step of an erasure: what it does to some segments, put together for one transaction."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from tokenwatcher_server.stores.admission import IdKey
from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind
from tokenwatcher_server.stores.embedded.journal import Change
from tokenwatcher_server.stores.embedded.notes import Note, Notes, Rewritten, encode_note
from tokenwatcher_server.stores.embedded.redact import Redacted
from tokenwatcher_server.stores.embedded.segment import Segment, decode
from tokenwatcher_server.stores.embedded.writing import answers_of
from tokenwatcher_server.stores.identity import erased_answer, erased_id, pack_ids


class ErasureStep:
    """Collects what becomes of segments; `numbers` are the workspaces'.

    With `marks`, what is removed is known again when it is sent once more.
    """

    def __init__(self, numbers: Mapping[str, int], *, marks: bool) -> None:
        self._numbers, self._with_marks = numbers, marks
        self._bodies: list[tuple[int, bytes]] = []
        self._rewritten: list[Rewritten] = []
        self._gone: list[Link] = []
        self._ids: list[IdKey] = []
        self._marks: list[bytes] = []
        self._removed = 0
        self.touched = 0
        """Rows that are removed or changed."""

    def add(self, link: Link, segment: Segment, found: Redacted) -> None:
        """Take in what becomes of a segment."""
        self.touched += len(found.touched)
        if found.rows:
            digest = sha256(found.body).digest()
            self._bodies.append((link.sequence, found.body))
            self._rewritten.append(Rewritten(link.sequence, found.rows, digest))
        else:
            self._gone.append(link)
        if link.kind is SegmentKind.EVENTS and found.rows < segment.rows:
            self._remove(segment, found)

    def change(self, notes: Notes) -> Change:
        """What to commit; `notes` are those until now."""
        note = Note(tuple(self._rewritten), notes.joined(self._gone))
        return Change(
            events=self._removed,
            note=encode_note(note),
            bodies=self._bodies,
            gone=[link.sequence for link in self._gone],
            ids=self._ids,
            marks=self._marks,
        )

    def _remove(self, segment: Segment, found: Redacted) -> None:
        self._removed += len(found.touched)
        ids = _keys(segment, found.touched, self._numbers)
        self._ids += ids
        if self._with_marks:
            left = answers_of(decode(found.body), self._numbers) if found.rows else []
            answers = set(answers_of(segment, self._numbers)) - set(left)
            self._marks += [erased_id(*key) for key in ids]
            self._marks += [erased_answer(answer) for answer in answers]


def _keys(segment: Segment, rows: Sequence[int], numbers: Mapping[str, int]) -> list[IdKey]:
    workspaces, ids = segment.values("workspace_id"), segment.values("id")
    packed = pack_ids([ids[row] for row in rows])
    return [(numbers[workspaces[row]], each) for row, each in zip(rows, packed, strict=True)]

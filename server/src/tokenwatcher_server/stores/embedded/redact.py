"""Takes what an erasure names out of a segment. No database is needed for that."""

from collections.abc import Collection, Sequence

import msgspec

from tokenwatcher_server.events.erasure import Erasure
from tokenwatcher_server.stores.embedded.segment import Segment, encode
from tokenwatcher_server.stores.gather import Values
from tokenwatcher_server.stores.scatter import EVENT_NAMES
from tokenwatcher_server.stores.schema import REPRICING_COLUMNS

_PEOPLE = ("user_id", "end_user_id")
_TEXTS = ("prompt", "completion")


class Redacted(msgspec.Struct, frozen=True):
    """A segment after an erasure."""

    rows: int
    body: bytes
    """Empty where no row is left."""
    touched: Sequence[int]
    """The rows, as they were numbered, that were removed or changed."""


def redacted(segment: Segment, erasure: Erasure) -> Redacted | None:
    """What is left of events; None where the erasure names none of them."""
    touched = _touched(segment, erasure)
    if not touched:
        return None
    if erasure.fate == "remove":
        return Redacted(*_without(segment, EVENT_NAMES, touched), touched)
    columns: dict[str, Values] = {name: segment.values(name) for name in EVENT_NAMES}
    for name in _TEXTS:
        columns[name] = _nulled(columns[name], touched)
    for name in _PEOPLE if erasure.fate == "unlink" else ():
        values = columns[name]
        theirs = [row for row in touched if values[row] == erasure.user]
        columns[name] = _nulled(values, theirs)
    return Redacted(segment.rows, encode(segment.rows, columns), touched)


def repricings_without(segment: Segment, rows: Sequence[int]) -> Redacted:
    """What is left of a repricing without some of its rows."""
    return Redacted(*_without(segment, [column.name for column in REPRICING_COLUMNS], rows), rows)


def _without(segment: Segment, names: Collection[str], rows: Sequence[int]) -> tuple[int, bytes]:
    taken = set(rows)
    kept = [row for row in range(segment.rows) if row not in taken]
    if not kept:
        return 0, b""
    columns: dict[str, Values] = {}
    for name in names:
        values = segment.values(name)
        columns[name] = [values[row] for row in kept]
    return len(kept), encode(len(kept), columns)


def _touched(segment: Segment, erasure: Erasure) -> list[int]:
    workspaces = set(erasure.workspaces)
    within = [workspace in workspaces for workspace in segment.values("workspace_id")]
    if erasure.user is not None:
        people = zip(*(segment.values(name) for name in _PEOPLE), strict=True)
        named = [erasure.user in pair for pair in people]
    else:
        before = erasure.before_us or 0
        named = [occurred_at < before for occurred_at in segment.values("occurred_at")]
    if erasure.fate == "forget-prompts":
        texts = zip(*(segment.values(name) for name in _TEXTS), strict=True)
        said = [any(text is not None for text in pair) for pair in texts]
    else:
        said = [True] * segment.rows
    return [row for row, each in enumerate(zip(within, named, said, strict=True)) if all(each)]


def _nulled(values: Values, rows: Sequence[int]) -> Values:
    changed = list(values)
    for row in rows:
        changed[row] = None
    return changed

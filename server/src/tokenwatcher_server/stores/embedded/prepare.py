"""Gets segments ready for the columns: all the work that needs no database."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from tokenwatcher_server.stores.embedded.chain import Link, SegmentKind
from tokenwatcher_server.stores.embedded.segment import NOTHING, Segment, decode
from tokenwatcher_server.stores.embedded.step import EventStep, Table, event_step, price_step

TAG_SLOTS = 24
"""Tag keys that get a column of their own, in the order they are first seen."""

Read = tuple[Link, Segment]


class Applied(msgspec.Struct, frozen=True):
    """How far the columns have come along the chain."""

    sequence: int
    total: int
    hash: bytes


class Prepared(msgspec.Struct, frozen=True):
    """The next segments as tables, in order: events, or a repricing of events before it."""

    steps: list[EventStep | Table]
    applied: Applied
    """How far the columns are when these have been applied."""
    tag_slots: dict[str, int]
    """The tag keys with columns of their own, these segments' included."""
    promoted: dict[str, int]
    """Those of them that are new."""


def read(links: Sequence[Link]) -> list[Read]:
    """Read their bodies; that of an erasure holds no rows."""
    return [
        (link, NOTHING if link.kind is SegmentKind.ERASURE else decode(link.body)) for link in links
    ]


def prepare(segments: Sequence[Read], tag_slots: Mapping[str, int]) -> Prepared:
    """Turn segments into tables; `tag_slots` are those of everything before them."""
    promoted = _promoted(segments, tag_slots)
    slots = {**tag_slots, **promoted}
    steps: list[EventStep | Table] = []
    for kind, run in _runs(segments):
        if kind is SegmentKind.EVENTS:
            steps.append(event_step([(link.sequence, segment) for link, segment in run], slots))
        elif kind is SegmentKind.REPRICING:  # one after the other: an event may be in several
            steps += [price_step(segment) for _, segment in run]
    last, _ = segments[-1]
    return Prepared(steps, Applied(last.sequence, last.total, last.hash), slots, promoted)


def _promoted(segments: Sequence[Read], slots: Mapping[str, int]) -> dict[str, int]:
    """Give a tag key a column of its own at its first sight, while there are some left.

    A key has its column for all of its events, or for none.
    """
    keys: dict[str, None] = {}
    for _, segment in segments if len(slots) < TAG_SLOTS else ():
        for tags in segment.tag_sets:
            keys |= dict.fromkeys(tags)
    new = [key for key in keys if key not in slots][: TAG_SLOTS - len(slots)]
    return {key: slot for slot, key in enumerate(new, len(slots) + 1)}


def _runs(segments: Sequence[Read]) -> Iterator[tuple[SegmentKind, list[Read]]]:
    """Neighbours of one kind together."""
    run: list[Read] = []
    for link, segment in segments:
        if run and run[0][0].kind is not link.kind:
            yield run[0][0].kind, run
            run = []
        run.append((link, segment))
    if run:
        yield run[0][0].kind, run

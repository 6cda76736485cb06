"""Events as rows of the table, and back.

What the store notes of a row, beside the event:

place        the hour that its key begins with; the same for every row of an id that is a UUIDv7
sequence     the commit that stored the event; `position` is its place in that
version      which row of a key holds: the first commit before later ones, a later price before both
void         1 where the event does not count, as another is the same; that holds before all others
changed      the commit, or the erasure, that wrote this row; `change` is the price's place in that
answer       the fingerprint of the provider's answer, 0 where there is none that proves something
earlier      the costs that a later price replaced
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.stores.clickhouse.keys import Key
from tokenwatcher_server.stores.clickhouse.schema import KEY_COLUMNS
from tokenwatcher_server.stores.gather import Values, gather
from tokenwatcher_server.stores.identity import fingerprint, is_uuid
from tokenwatcher_server.stores.scatter import EVENT_NAMES, scatter

Columns = dict[str, Values]

_FIRST: Final = 2**63
"""Versions of first rows are below it, those of later prices above."""
VOID_VERSION: Final = 2**64 - 1
_JSON: Final = ("metadata", "server_tool_calls")
_NOTES: Final = ("sequence", "position", "changed", "change", "earlier")
_NAMES: Final = (*EVENT_NAMES, "content_digest", *_NOTES)
SELECTED: Final = ", ".join(_NAMES)
"""What to select for `read`."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Replaced(msgspec.Struct, frozen=True, array_like=True):
    """A cost that held until a later one came. `changed` is the commit it came with, 0 the first."""

    changed: int
    change: int
    cost: Cost


class Row(msgspec.Struct, frozen=True):
    """An event with all the costs that it had."""

    priced: PricedEvent
    sequence: int
    position: int
    changed: int
    change: int
    earlier: tuple[Replaced, ...]

    @property
    def stored(self) -> StoredEvent:
        return StoredEvent(self.priced, self.sequence)

    @property
    def costs(self) -> tuple[Replaced, ...]:
        """From the first on."""
        return (*self.earlier, Replaced(self.changed, self.change, self.priced.cost))


_earlier: Final = msgspec.json.Decoder(tuple[Replaced, ...])


def place_of(event: Event) -> int:
    """The hour a row is kept at: the id's own, where it has one, so that an id has one place.

    Any other id is kept at the hour of its call.
    """
    hour_ms = HOUR_US // 1_000
    if is_uuid(event.id) and event.id[14] == "7":
        return int(event.id[:8] + event.id[9:13], 16) // hour_ms
    return event.occurred_at // HOUR_US


def answer_of(event: Event) -> int:
    """The fingerprint as a number; 0 where the answer proves nothing."""
    found = fingerprint(event.workspace_id, event)
    return 0 if found is None else int.from_bytes(found)


def first_rows(events: Sequence[PricedEvent], sequence: int) -> Columns:
    """The rows of events that are new, in their order."""
    count = len(events)
    return _event_columns(events) | {
        "sequence": [sequence] * count,
        "position": list(range(count)),
        "version": [_FIRST - 1 - sequence] * count,
        "changed": [0] * count,
        "change": [0] * count,
        "earlier": [""] * count,
    }


def later_rows(rows: Sequence[Row], changed: int) -> Columns:
    """The rows of events that got a later price in the commit `changed`."""
    return _event_columns([row.priced for row in rows]) | {
        "sequence": [row.sequence for row in rows],
        "position": [row.position for row in rows],
        "version": [_FIRST + changed] * len(rows),
        "changed": [changed] * len(rows),
        "change": [row.change for row in rows],
        "earlier": [_encode(row.earlier).decode() for row in rows],
    }


def void_rows(keys: Sequence[Key]) -> Columns:
    """The rows that take events out, by their keys."""
    columns: Columns = {
        name: [getattr(key, name) for key in keys] for name in KEY_COLUMNS if name != "answer"
    }
    return columns | {"void": [1] * len(keys), "version": [VOID_VERSION] * len(keys)}


def read(rows: Sequence[Sequence[Any]]) -> list[Row]:
    """Rows of SELECTED as events."""
    if not rows:
        return []
    columns: Columns = dict(zip(_NAMES, zip(*rows, strict=True), strict=True))
    columns |= {name: [_decode(text) for text in columns[name]] for name in _JSON}
    notes = zip(*(columns[name] for name in _NOTES), strict=True)
    return [
        Row(priced, sequence, position, changed, change, _earlier.decode(earlier or "[]"))
        for priced, (sequence, position, changed, change, earlier) in zip(
            scatter(columns), notes, strict=True
        )
    ]


def _event_columns(events: Sequence[PricedEvent]) -> Columns:
    columns: Columns = gather(events)
    columns |= {name: [_encode(each).decode() for each in columns[name]] for name in _JSON}
    return columns | {
        "place": [place_of(priced.event) for priced in events],
        "void": [0] * len(events),
        "content_digest": [priced.event.content_digest for priced in events],
        "answer": [answer_of(priced.event) for priced in events],
        "input_tokens": _sums(columns, INPUT_BUCKETS),
        "output_tokens": _sums(columns, OUTPUT_BUCKETS),
    }


def _sums(columns: Mapping[str, Values], names: Sequence[str]) -> list[int]:
    return [
        sum(filter(None, each)) for each in zip(*(columns[name] for name in names), strict=True)
    ]

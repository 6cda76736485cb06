"""Events as the values of their columns, and rows as events again."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.stores.gather import gather, gather_costs
from tokenwatcher_server.stores.scatter import EVENT_NAMES, scatter
from tokenwatcher_server.stores.schema import COLUMNS, PRICE_COLUMNS, Kind

_TYPES: Final = {Kind.NUMBER: "bigint", Kind.INSTANT: "bigint", Kind.FLAG: "bool"}
_KINDS: Final = {column.name: column.kind for column in COLUMNS}
_JSON: Final = tuple(name for name, kind in _KINDS.items() if kind in {Kind.JSON, Kind.TAGS})

TYPES: Final = {name: _TYPES.get(_KINDS[name], "text") for name in EVENT_NAMES}
"""The columns of an event that are sent to the server, and their types there."""
PRICE_TYPES: Final = {name: TYPES[name] for name in PRICE_COLUMNS}
SELECTED: Final = f"sequence, digest, {', '.join(f'events.{name}' for name in EVENT_NAMES)}"
"""What to select of `events` and `event_ids` for `stored_events`."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode

BETWEEN: Final = "\x1f"
ABSENT: Final = "\x1e"

Values = Sequence[Any]


def event_values(events: Sequence[PricedEvent]) -> list[Values]:
    """A list for each of TYPES with a value for each event."""
    columns: dict[str, Sequence[Any]] = dict(gather(events))
    for name in _JSON:
        columns[name] = [_encode(value).decode() if value else None for value in columns[name]]
    return [columns[name] for name in TYPES]


def listed(columns: Sequence[Values]) -> list[Values]:
    """Each column as a list of texts, whatever characters they have."""
    return [[None if value is None else str(value) for value in values] for values in columns]


def joined(columns: Sequence[Values]) -> list[str | None] | None:
    """Each column as one text, which costs the driver far less than a list does.

    BETWEEN is between its values, and ABSENT stands for None. Gives None where a value has one of
    these characters itself.
    """
    texts: list[str | None] = []
    for values in columns:
        if (absent := values.count(None)) == len(values):
            texts.append(None)
            continue
        text = BETWEEN.join([ABSENT if value is None else str(value) for value in values])
        if text.count(BETWEEN) != len(values) - 1 or text.count(ABSENT) != absent or not text:
            return None
        texts.append(text)
    return texts


def price_values(costs: Sequence[Cost]) -> list[Values | None]:
    """A list for each of PRICE_TYPES with a value for each cost; None for one without any."""
    columns = gather_costs(costs, {})
    return [_given(columns[name]) for name in PRICE_TYPES]


def _given(values: Values) -> Values | None:
    return None if values.count(None) == len(values) else values


def stored_events(rows: Sequence[Sequence[Any]]) -> list[StoredEvent]:
    """Turn rows of SELECTED into events, in their order."""
    if not rows:
        return []
    sequences, digests, *found = zip(*rows, strict=True)
    columns: dict[str, Sequence[Any]] = dict(zip(EVENT_NAMES, found, strict=True))
    for name in _JSON:
        columns[name] = [None if text is None else _decode(text) for text in columns[name]]
    events = scatter({**columns, "content_digest": digests})
    return [StoredEvent(*each) for each in zip(events, sequences, strict=True)]

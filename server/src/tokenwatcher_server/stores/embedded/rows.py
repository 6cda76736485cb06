"""Rows of the columns file as events again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.stores.scatter import EVENT_NAMES, scatter
from tokenwatcher_server.stores.schema import ID_TEXT, STORED_COLUMNS

_SELECTED = (*STORED_COLUMNS, "details")
_ABSENT: Final[dict[str, Any]] = dict.fromkeys(EVENT_NAMES)
_details = msgspec.json.Decoder(dict[str, Any])


def selected(tag_slots: Mapping[str, int]) -> str:
    """What to select for `stored_events`."""
    stored = [ID_TEXT if name == "id" else name for name in _SELECTED]
    return ", ".join([*stored, *(f"tag_{slot}" for slot in tag_slots.values())])


def stored_events(
    rows: Sequence[tuple[Any, ...]],
    tag_slots: Mapping[str, int],
    digests: Mapping[tuple[str, str], bytes],
) -> list[StoredEvent]:
    """`digests` are the events' content digests, by workspace and id."""
    said = [_values(row, tag_slots) for row in rows]
    columns = {name: [each[name] for each in said] for name in EVENT_NAMES}
    names = zip(columns["workspace_id"], columns["id"], strict=True)
    events = scatter(columns | {"content_digest": [digests[name] for name in names]})
    return [StoredEvent(event, each["sequence"]) for event, each in zip(events, said, strict=True)]


def _values(row: tuple[Any, ...], tag_slots: Mapping[str, int]) -> dict[str, Any]:
    values: dict[str, Any] = _ABSENT | dict(zip(_SELECTED, row, strict=False))
    if details := values.pop("details"):
        values |= _details.decode(details)
    promoted = zip(tag_slots, row[len(_SELECTED) :], strict=True)
    values["tags"] = (values["tags"] or {}) | {
        key: value for key, value in promoted if value is not None
    }
    return values

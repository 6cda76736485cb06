"""Rows of the columns file as events again."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.stores.embedded.rates import unfold
from tokenwatcher_server.stores.embedded.schema import (
    COST_COLUMNS,
    EVENT_COLUMNS,
    ID_TEXT,
    STORED_COLUMNS,
    TOKEN_COLUMNS,
)

_SELECTED = (*STORED_COLUMNS, "details")
_ABSENT: Final[dict[str, Any]] = dict.fromkeys(EVENT_COLUMNS) | {
    "tags": {},
    "metadata": {},
    "server_tool_calls": {},
}
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
    return [_stored_event(row, tag_slots, digests) for row in rows]


def _stored_event(
    row: tuple[Any, ...],
    tag_slots: Mapping[str, int],
    digests: Mapping[tuple[str, str], bytes],
) -> StoredEvent:
    values: dict[str, Any] = _ABSENT | dict(zip(_SELECTED, row, strict=False))
    if details := values.pop("details"):
        values |= _details.decode(details)
    promoted = zip(tag_slots, row[len(_SELECTED) :], strict=True)
    values["tags"] = (values["tags"] or {}) | {
        key: value for key, value in promoted if value is not None
    }
    values["content_digest"] = digests[values["workspace_id"], values["id"]]
    values["tokens"] = Tokens(*[values[name] for name in TOKEN_COLUMNS])
    values["buckets"] = unfold(values["cost_rates"], values["tokens"])
    event = Event(**{name: values[name] for name in EVENT_COLUMNS})
    cost = Cost(*[values[name] for name in COST_COLUMNS])
    return StoredEvent(PricedEvent(event, cost), values["sequence"])

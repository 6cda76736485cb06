"""Events read back: lists, one event, and the tag keys in use."""

from collections.abc import Sequence
from typing import Any, Final

from tokenwatcher_server.events.query import EventFilter, Scope
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.dialect import clickhouse_dialect
from tokenwatcher_server.stores.clickhouse.keys import Key, find, holders
from tokenwatcher_server.stores.clickhouse.rows import SELECTED, Row, read
from tokenwatcher_server.stores.clickhouse.values import bindings, named
from tokenwatcher_server.stores.sql import events_where, scope_condition

MOST_TAG_KEYS: Final = 100
_AT_ONCE: Final = 1_000
_PLACE: Final = "place, workspace_id, id"
_NEWEST_FIRST: Final = "order by occurred_at desc, id desc"


def rows_at(connection: Connection, keys: Sequence[Key]) -> list[Row]:
    """The rows of keys, whole, in no order."""
    return _rows_at(connection, [(key.place, key.workspace_id, key.id) for key in keys])


def events(connection: Connection, wanted: EventFilter) -> list[StoredEvent]:
    """The newest events first.

    1. Find the page's keys: that reads few columns, and mostly few hours.
    2. Read those events whole.
    """
    values = bindings()
    where = events_where(wanted, clickhouse_dialect(), values)
    limit = values.bind(wanted.limit)
    [(newest,)] = connection.rows(
        f"select max(occurred_at) from events where {where}", named(values.values)
    )
    keys: Sequence[tuple[Any, ...]] = []
    for floor in (newest - HOUR_US, newest - 30 * HOUR_US, wanted.period.start_us):
        keys = connection.rows(
            f"select {_PLACE} from events final where {where} and occurred_at >= {floor}"
            f" {_NEWEST_FIRST} limit {limit}",
            named(values.values),
        )
        if len(keys) == wanted.limit:
            break
    found = _rows_at(connection, keys)
    found.sort(key=lambda row: (row.priced.event.occurred_at, row.priced.event.id), reverse=True)
    return [row.stored for row in found]


def event(connection: Connection, scope: Scope, event_id: str) -> StoredEvent | None:
    """Find an event by its id, which a projection of the table is ordered by."""
    keys = [key for key in holders(find(connection, [event_id], []))
            if key.workspace_id in scope.workspaces]  # fmt: skip
    found = [row for row in rows_at(connection, keys)
             if scope.projects is None or row.priced.event.project_id in scope.projects]  # fmt: skip
    found.sort(key=lambda row: (row.sequence, row.position))
    return found[0].stored if found else None


def tag_keys(connection: Connection, scope: Scope) -> list[str]:
    values = bindings()
    rows = connection.rows(
        "select key, count() as uses from events final array join mapKeys(tags) as key"
        f" where {scope_condition(scope, values)}"
        f" group by key order by uses desc, key limit {MOST_TAG_KEYS}",
        named(values.values),
    )
    return [key for key, _ in rows]


def _rows_at(connection: Connection, keys: Sequence[tuple[Any, ...]]) -> list[Row]:
    rows: list[Row] = []
    for start in range(0, len(keys), _AT_ONCE):
        values = bindings()
        named_keys = [
            f"({values.bind(place)}, {values.bind(workspace)}, {values.bind(event_id)})"
            for place, workspace, event_id in keys[start : start + _AT_ONCE]
        ]
        rows += read(
            connection.rows(
                f"select {SELECTED} from events final where ({_PLACE}) in ({', '.join(named_keys)})",
                named(values.values),
            )
        )
    return rows

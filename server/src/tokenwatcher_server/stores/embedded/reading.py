"""Events read back from the columns: lists, one event, and the tag keys in use."""

from itertools import compress
from typing import Any

from tokenwatcher_server.events.query import EventFilter, Scope
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.stores.embedded.columns import Columns, Snapshot
from tokenwatcher_server.stores.embedded.dialect import duckdb_dialect
from tokenwatcher_server.stores.embedded.journal_reader import Held, JournalReader
from tokenwatcher_server.stores.embedded.rows import selected, stored_events
from tokenwatcher_server.stores.identity import pack_id, pack_ids
from tokenwatcher_server.stores.schema import ID_TEXT, STORED_COLUMNS
from tokenwatcher_server.stores.sql import (
    Bindings,
    events_where,
    scope_condition,
)

MOST_TAG_KEYS = 100
_ID, _WORKSPACE = map(list(STORED_COLUMNS).index, ("id", "workspace_id"))


def events(columns: Columns, journal: JournalReader, wanted: EventFilter) -> list[StoredEvent]:
    """The newest events first.

    1. Find how far back the page reaches, by time alone: that reads few columns.
    2. Read the events since then whole, in order of time and id.
    """
    with columns.limited_snapshot() as snapshot:
        bindings = Bindings()
        where = events_where(wanted, duckdb_dialect(snapshot.tag_slots), bindings)
        limit = bindings.bind(wanted.limit)
        ordered = f"order by occurred_at desc limit {limit}"
        oldest = _reach(snapshot, wanted, f"where {where}", ordered, bindings.values)
        if oldest is None:
            return []
        page = (
            f"select {selected(snapshot.tag_slots)} from events"
            f" where {where} and occurred_at >= {bindings.bind(oldest)}"
            f" order by occurred_at desc, {ID_TEXT} desc limit {limit}"
        )
        return _stored(snapshot.rows(page, bindings.values), snapshot.tag_slots, journal)


def _reach(
    snapshot: Snapshot, wanted: EventFilter, where: str, ordered: str, values: list[Any]
) -> int | None:
    """When the last event of a page occurred; None for an empty page.

    DuckDB would look through all of time for it. Mostly the newest hours hold a whole page, and
    the sums know which those are; where they don't, all of time it is.
    """
    oldest = None
    for floor in (_newest_hour(snapshot, wanted) - HOUR_US, wanted.period.start_us):
        [(found, oldest)] = snapshot.rows(
            "select count(*), min(occurred_at) from (select occurred_at from events"
            f" {where} and occurred_at >= {floor} {ordered})",
            values,
        )
        if found == wanted.limit:
            break
    return oldest


def _newest_hour(snapshot: Snapshot, wanted: EventFilter) -> int:
    """The start of the last hour in which something of the scope may be listed."""
    end = wanted.period.end_us if wanted.before is None else wanted.before[0] + 1
    bindings = Bindings()
    where = f"hour < {bindings.bind(end)} and {scope_condition(wanted.scope, bindings)}"
    [(hour,)] = snapshot.rows(f"select max(hour) from hours where {where}", bindings.values)
    return wanted.period.start_us if hour is None else int(hour)


def event(
    columns: Columns, journal: JournalReader, scope: Scope, event_id: str
) -> StoredEvent | None:
    """Find an event by its place in the journal, which the ids know."""
    numbers = journal.workspace_numbers()
    keys = [
        (numbers[workspace], pack_id(event_id))
        for workspace in scope.workspaces
        if workspace in numbers
    ]
    sequences = [held.sequence for held in journal.find(keys).values()]
    if not sequences:
        return None
    bindings = Bindings()
    where = (
        f"sequence in ({bindings.bind_all(sequences)}) and {scope_condition(scope, bindings)}"
        f" and {ID_TEXT} = {bindings.bind(event_id)}"
    )
    with columns.limited_snapshot() as snapshot:
        text = f"select {selected(snapshot.tag_slots)} from events where {where}"
        rows = snapshot.rows(text + " order by sequence limit 1", bindings.values)
        found = _stored(rows, snapshot.tag_slots, journal)
    return found[0] if found else None


def tag_keys(columns: Columns, scope: Scope) -> list[str]:
    bindings = Bindings()
    where = scope_condition(scope, bindings)
    with columns.limited_snapshot() as snapshot:
        slots = snapshot.tag_slots
        counts = ["count(tags)", *(f"count(tag_{slot})" for slot in slots.values())]
        text = f"select {', '.join(counts)} from events where {where}"
        [(others, *promoted)] = snapshot.rows(text, bindings.values)
        used = dict(zip(slots, promoted, strict=True))
        if others:
            text = (
                "select key, count(*) from (select unnest(map_keys(tags)) as key"
                f" from events where {where}) group by key"
            )
            used |= dict(snapshot.rows(text, bindings.values))
    ordered = sorted(used, key=lambda key: (-used[key], key))
    return [key for key in ordered if used[key]][:MOST_TAG_KEYS]


def _stored(
    rows: list[tuple[Any, ...]], slots: dict[str, int], journal: JournalReader
) -> list[StoredEvent]:
    """Put rows together with the digests, which the journal alone has."""
    if not rows:
        return []
    numbers = journal.workspace_numbers()
    names = [(row[_WORKSPACE], row[_ID]) for row in rows]
    packed = pack_ids([event_id for _, event_id in names])
    keys = [(numbers[name[0]], each) for name, each in zip(names, packed, strict=True)]
    held: dict[tuple[int, bytes], Held] = journal.find(keys)
    # an event that is being erased may be in the columns yet, and is in the journal no more
    known = [key in held for key in keys]
    names, keys, rows = (list(compress(each, known)) for each in (names, keys, rows))
    digests = {name: held[key].digest for name, key in zip(names, keys, strict=True)}
    return stored_events(rows, slots, digests)

"""Events read back: lists, one event, and the tag keys in use."""

from tokenwatcher_server.events.query import EventFilter, Scope
from tokenwatcher_server.events.store import StoredEvent
from tokenwatcher_server.stores.postgres import hours
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.dialect import bindings, postgres_dialect
from tokenwatcher_server.stores.postgres.rows import SELECTED, stored_events
from tokenwatcher_server.stores.sql import events_where, scope_condition

MOST_TAG_KEYS = 100
_JOINED = "events join event_ids using (workspace_id, id, occurred_at)"


async def events(connection: Connection, wanted: EventFilter) -> list[StoredEvent]:
    """The newest events first.

    Each workspace's newest are found by its index and then put together: one that was silent for
    long doesn't make the server read what the others did since.
    """
    bound = bindings()
    where = events_where(wanted, postgres_dialect(), bound)
    limit = bound.bind(wanted.limit)
    ordered = f"order by occurred_at desc, id desc limit {limit}"
    parts = [
        f"(select * from events where {where} and workspace_id = {bound.bind(workspace)} {ordered})"
        for workspace in wanted.scope.workspaces
    ]
    if not parts:
        return []
    text = (
        f"select {SELECTED} from ({' union all '.join(parts)}) as events"
        f" join event_ids using (workspace_id, id, occurred_at) {ordered}"
    )
    return stored_events(await connection.fetch(text, *bound.values))


async def event(connection: Connection, scope: Scope, event_id: str) -> StoredEvent | None:
    bound = bindings()
    where = f"{scope_condition(scope, bound)} and id = {bound.bind(event_id)}"
    text = f"select {SELECTED} from {_JOINED} where {where} order by sequence limit 1"
    found = stored_events(await connection.fetch(text, *bound.values))
    return found[0] if found else None


async def tag_keys(connection: Connection, scope: Scope) -> list[str]:
    """Counted by their hourly sums; events have to be read only where keys may have none."""
    bound = bindings()
    where = scope_condition(scope, bound)
    summed = (
        "select key, sum(calls) as used from tag_hours join event_tag_slots using (slot)"
        f" where summed and {where} group by key"
    )
    counted = (
        "select key, count(*) as used from events, jsonb_object_keys(tags) as tag (key)"
        f" where {where} and key not in (select key from event_tag_slots where summed) group by key"
    )
    everything = summed if await hours.all_summed(connection) else f"{summed} union all {counted}"
    text = (
        f"select key from ({everything}) as found where used > 0"
        f' order by used desc, key collate "C" limit {MOST_TAG_KEYS}'
    )
    return [row["key"] for row in await connection.fetch(text, *bound.values)]

"""Checks what is stored against itself: ids, answers, and the sums and counts that answer questions."""

from collections.abc import Mapping

from tokenwatcher_server.events.store import Verification
from tokenwatcher_server.kernel.clock import HOUR_US, iso
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.counting import count, together
from tokenwatcher_server.stores.postgres.kept_durations import all_that_hold
from tokenwatcher_server.stores.totals import HOUR_KEYS, HOUR_SUMS, TAG_KEYS, TAG_SUMS

_MOST_NAMED = 10
_SPANS_AT_ONCE = 50
_HOUR = f"occurred_at / {HOUR_US} * {HOUR_US}"


async def verify(connection: Connection) -> Verification:
    """See `EventStore.verify`; on the snapshot that the connection has."""
    events, commits = await connection.fetchrow(
        "select count(*), count(distinct sequence) from events"
    )
    counted = await connection.fetchval("select sum(events) from event_counts")
    miscounted = [f"event_counts: {counted} events, but there are {events}"]
    faults = [
        *(miscounted if counted != events else ()),
        *await _ids(connection),
        *await _sums(connection),
        *await _durations(connection),
    ]
    return Verification(not faults, events, commits, tuple(faults))


async def _ids(connection: Connection) -> list[str]:
    """Every event has its id, and every id its event, at the same instant."""
    rows = await connection.fetch(
        "select workspace_id, id, events.sequence is null as missing from events"
        " full join event_ids using (workspace_id, id, occurred_at)"
        f" where events.sequence is null or event_ids.digest is null limit {_MOST_NAMED}"
    )
    return [
        f"event {row['id']} of workspace {row['workspace_id']}: "
        + ("its id is known, but it is missing" if row["missing"] else "its id is not known")
        for row in rows
    ]


async def _sums(connection: Connection) -> list[str]:
    tags = (
        "(select events.*, slot, value from events, jsonb_each_text(tags) as tag (key, value)"
        " join event_tag_slots using (key) where summed) as tagged"
    )
    of_summed = "slot in (select slot from event_tag_slots where summed)"
    return [
        *await _differences(connection, "hours", HOUR_KEYS, HOUR_SUMS, "events", "true"),
        *await _differences(connection, "tag_hours", TAG_KEYS, TAG_SUMS, tags, of_summed),
    ]


async def _durations(connection: Connection) -> list[str]:
    """What was counted of durations, and still holds, is what the events say."""
    kept = sorted((await all_that_hold(connection)).items())
    faults: list[str] = []
    for first in range(0, len(kept), _SPANS_AT_ONCE):
        part = dict(kept[first : first + _SPANS_AT_ONCE])
        counted = await count(connection, {span: each.calls for span, each in part.items()})
        faults += [
            f"durations: the counts of {iso(span.start_us)} are not those of its events;"
            " `tokenwatcher rollups rebuild` makes them anew"
            for span, each in part.items()
            if together(0, [each]) != together(0, [counted[span]])
        ]
    return faults[:_MOST_NAMED]


async def _differences(
    connection: Connection,
    table: str,
    keys: Mapping[str, str],
    sums: Mapping[str, str],
    source: str,
    where: str,
) -> list[str]:
    made = {**keys, "hour": _HOUR}
    negative = ", ".join(f"-{sql}" for sql in sums.values())
    differs = " or ".join(f"sum({name}) <> 0" for name in sums)
    rows = await connection.fetch(
        f"select hour from (select {', '.join([*keys, *sums])} from {table} where {where}"
        f" union all select {', '.join(made.values())}, {negative} from {source}"
        f" group by {', '.join(made.values())}) as both_ways group by {', '.join(keys)}"
        f" having {differs} order by hour limit {_MOST_NAMED}"
    )
    return [
        f"{table}: the sums of {iso(row['hour'])} are not those of its events;"
        " `tokenwatcher rollups rebuild` makes them anew"
        for row in rows
    ]

"""Later costs of stored events: written beside the earlier ones, and into the sums."""

from collections.abc import Sequence
from typing import Final

from tokenwatcher_server.events.store import Repricing
from tokenwatcher_server.stores.postgres import hours
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.rows import PRICE_TYPES, price_values
from tokenwatcher_server.stores.schema import PRICE_COLUMNS

_PART: Final = "0::smallint"
_NAMES: Final = ", ".join(PRICE_COLUMNS)
_LISTS: Final = ", ".join(
    f"${place}::{kind}[]" for place, kind in enumerate(["text", "text", *PRICE_TYPES.values()], 1)
)
_GIVEN: Final = f"unnest({_LISTS}) with ordinality as given (workspace_id, id, {_NAMES}, place)"
_WAS: Final = ", ".join(f"'{name}', events.{name}" for name in PRICE_COLUMNS)
_AT: Final = "events.workspace_id = {of}.workspace_id and events.id = {of}.id"


async def reprice(connection: Connection, changes: Sequence[Repricing]) -> int:
    """See `EventStore.reprice`. Of several changes of an event, the last one holds.

    1. Keep writers out, so that nothing changes between the next steps.
    2. Take the events out of the sums, write their new costs, and put them back in.
    """
    if not changes:
        return 0
    latest = {(each.workspace_id, each.event_id): each for each in changes}
    named = [[workspace for workspace, _ in latest], [event_id for _, event_id in latest]]
    costs = price_values([each.cost for each in latest.values()])
    found = (
        "(select events.* from events join event_ids using (workspace_id, id, occurred_at)"
        " join unnest($1::text[], $2::text[]) as named (workspace_id, id)"
        " using (workspace_id, id)) as found"
    )
    async with connection.transaction():
        await connection.execute(hours.LOCK)
        for sign in ("-", ""):
            if sign == "":
                repriced = await connection.fetchval(_write(), *named, *costs)
            await connection.execute(hours.add_hours(found, _PART, sign), *named)
            await connection.execute(hours.add_tag_hours(found, _PART, sign), *named)
        await connection.execute("update event_counts set commits = commits + 1 where part = 0")
    return int(repriced)


def _write() -> str:
    """Note each new cost with the one before it, and give it to its event; gives how many."""
    return (
        f"with given as (select * from {_GIVEN}),"
        " commit as (select nextval('event_commits') as sequence),"
        " noted as (insert into event_repricings"
        f" (sequence, place, workspace_id, id, {_NAMES}, was)"
        f" select commit.sequence, given.place, given.workspace_id, given.id,"
        f" {', '.join(f'given.{name}' for name in PRICE_COLUMNS)}, jsonb_build_object({_WAS})"
        f" from commit, given join event_ids using (workspace_id, id)"
        f" join events on {_AT.format(of='given')}"
        " and events.occurred_at = event_ids.occurred_at),"
        f" changed as (update events set {', '.join(f'{n} = given.{n}' for n in PRICE_COLUMNS)}"
        " from given join event_ids using (workspace_id, id)"
        f" where {_AT.format(of='given')} and events.occurred_at = event_ids.occurred_at"
        " returning 1) select count(*) from changed"
    )

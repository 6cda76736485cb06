"""The hourly sums, always equal to those of the events: written by the statement that writes those.

Rows of the same hour are added up in place. A tag key has sums if it was among the first that
were seen, and as long as its values are far fewer than its events.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tokenwatcher_server.kernel.clock import HOUR_US
from tokenwatcher_server.kernel.ids import WorkspaceId
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.stores.postgres import kept_durations
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.totals import HOUR_KEYS, HOUR_SUMS, TAG_KEYS, TAG_SUMS

TAG_SLOTS: Final = 24
"""Tag keys whose values are summed, in the order they are first seen."""
MOST_TAG_ROWS: Final = 100_000
"""Rows that a tag's sums may always have; beyond them, one for ten events."""
LOCK: Final = "lock table hours, tag_hours in share row exclusive mode"
"""Keeps writers of events out until the end of the transaction, and no reader."""

_HOUR: Final = f"occurred_at / {HOUR_US} * {HOUR_US}"


def add_hours(source: str, part: str, sign: str = "") -> str:
    """A statement that adds the events of `source` to the sums of projects and models.

    `sign` is `-` to take them out again.
    """
    return _adding("hours", HOUR_KEYS, HOUR_SUMS, source, part, sign)


def add_tag_hours(source: str, part: str, sign: str = "") -> str:
    """A statement that adds the events of `source` to the sums of their tags' values."""
    tagged = (
        f"(select of_events.*, slot, value from (select * from {source}) as of_events,"
        " jsonb_each_text(tags) as tag (key, value)"
        " join event_tag_slots using (key) where summed) as tagged"
    )
    return _adding("tag_hours", TAG_KEYS, TAG_SUMS, tagged, part, sign)


def _adding(
    table: str, keys: Mapping[str, str], sums: Mapping[str, str], source: str, part: str, sign: str
) -> str:
    of_keys = {**keys, "hour": _HOUR}
    columns = ", ".join([*of_keys, "part", *sums])
    selected = ", ".join([*of_keys.values(), part, *(f"{sign}{sql}" for sql in sums.values())])
    grouped = ", ".join(of_keys.values())
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    # in one order everywhere, so that two servers can't wait for each other in a circle
    return (
        f"insert into {table} ({columns}) select {selected} from {source}"
        f" group by {grouped} order by {grouped}"
        f" on conflict ({', '.join([*of_keys, 'part'])}) do update set {added}"
    )


async def slots(connection: Connection) -> dict[str, int]:
    """The slots of the tag keys that have sums."""
    rows = await connection.fetch("select key, slot from event_tag_slots where summed")
    return {row["key"]: row["slot"] for row in rows}


async def all_summed(connection: Connection) -> bool:
    """Whether every tag key that there is has sums."""
    taken = await connection.fetchrow(
        "select count(*), count(*) filter (where summed) from event_tag_slots"
    )
    return bool(taken[0] == taken[1] and taken[0] < TAG_SLOTS)


async def give_slots(connection: Connection, keys: list[str]) -> int:
    """Give tag keys slots while there are some left; gives how many are left."""
    async with connection.transaction():
        await connection.execute(LOCK)
        taken = await connection.fetchval("select count(*) from event_tag_slots")
        known = await connection.fetch(
            "select key from event_tag_slots where key = any($1::text[])", keys
        )
        new = [key for key in keys if key not in {row["key"] for row in known}]
        new = new[: TAG_SLOTS - taken]
        await connection.execute(
            "insert into event_tag_slots (slot, key, summed)"
            " select * from unnest($1::int[], $2::text[], $3::bool[])",
            list(range(taken + 1, taken + len(new) + 1)), new, [True] * len(new),
        )  # fmt: skip
        return int(TAG_SLOTS - taken - len(new))


async def drop_large(connection: Connection, most_rows: int = MOST_TAG_ROWS) -> None:
    """Give up the sums of tags whose values are nearly as many as their events."""
    async with connection.transaction():
        await connection.execute(LOCK)
        events = await connection.fetchval("select coalesce(sum(calls), 0) from hours")
        large = await connection.fetch(
            "select slot from tag_hours group by slot having count(*) > $1",
            max(most_rows, int(events) // 10),
        )
        found = [row["slot"] for row in large]
        await connection.execute(
            "update event_tag_slots set summed = false where slot = any($1::int[])", found
        )
        await connection.execute("delete from tag_hours where slot = any($1::int[])", found)


async def rebuild(
    connection: Connection, period: Period, workspaces: Sequence[WorkspaceId] | None
) -> int:
    """Make the sums of every hour that a period touches anew, of some workspaces or of all.

    Writers wait meanwhile, readers don't. Gives how many events were summed.
    """
    start, end = period.start_us // HOUR_US * HOUR_US, -(-period.end_us // HOUR_US) * HOUR_US
    where = (
        "{instant} >= $1 and {instant} < $2"
        " and ($3::text[] is null or workspace_id = any($3::text[]))"
    )
    given = (start, end, None if workspaces is None else list(workspaces))
    async with connection.transaction():
        await connection.execute(LOCK)
        for table in ("hours", "tag_hours"):
            await connection.execute(
                f"delete from {table} where {where.format(instant='hour')}", *given
            )
        await kept_durations.forget(connection, *given)
        events = f"(select * from events where {where.format(instant='occurred_at')}) as found"
        await connection.execute(add_hours(events, "0::smallint"), *given)
        await connection.execute(add_tag_hours(events, "0::smallint"), *given)
        found = await connection.fetchval(f"select count(*) from {events}", *given)
        return int(found)

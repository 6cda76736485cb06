"""The hourly sums in the columns file, always equal to those of its events.

They are written in the transaction that writes the events, from the rows really written. Each
step adds rows of its own, as sums of sums are sums; now and then they are put together. A tag
whose values are nearly as many as events would cost more than it saves: its sums are dropped.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from tokenwatcher_server.stores.totals import HOUR_KEYS, HOUR_SUMS, TAG_KEYS, TAG_SUMS

Cursor = duckdb.DuckDBPyConnection

LEAST_TO_MERGE = 20_000
"""Rows added since the last merge that are worth another one."""
MOST_TAG_ROWS = 100_000
"""Rows that a tag's sums may always have; beyond them, one for ten events."""

_KINDS = {"hour": "bigint", "slot": "integer"}
_WIDE = frozenset({"cost", "cache_savings", "reported_cost", "latency_ms"})
_REPRICED = "sequence <= $1 and rowid in (select event_row from repriced)"
_TABLES: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "hours": (HOUR_KEYS, HOUR_SUMS),
    "tag_hours": (TAG_KEYS, TAG_SUMS),
}


def create(cursor: Cursor) -> None:
    """Make the tables, empty."""
    for table, (keys, sums) in _TABLES.items():
        columns = [f"{name} {_KINDS.get(name, 'varchar')} not null" for name in keys]
        columns += [f"{name} {'hugeint' if name in _WIDE else 'bigint'} not null" for name in sums]
        cursor.execute(f"create table {table} ({', '.join(columns)})")


def count(cursor: Cursor) -> int:
    [(rows,)] = cursor.execute(
        "select (select count(*) from hours) + (select count(*) from tag_hours)"
    ).fetchall()
    return int(rows)


def add(cursor: Cursor, tags: Iterable[int], *, after: int) -> int:
    """Add the events behind a sequence number; gives the rows this took.

    `tags` are the slots of those keys that these events have.
    """
    wanted = set(tags)
    slots = [slot for slot in summed_slots(cursor) if slot in wanted]
    return _add(cursor, slots, "sequence > $1", after, sign="")


def take_repriced(cursor: Cursor, *, until: int) -> int:
    """Take out the events that are about to be repriced, of those up to a sequence number."""
    return _add(cursor, summed_slots(cursor), _REPRICED, until, sign="-")


def add_repriced(cursor: Cursor, *, until: int) -> int:
    """Put them back in with their new cost."""
    return _add(cursor, summed_slots(cursor), _REPRICED, until, sign="")


def merge(cursor: Cursor, events: int, most_tag_rows: int = MOST_TAG_ROWS) -> int:
    """Put the rows of each hour together, and drop what grew too large; gives what is left."""
    most = max(most_tag_rows, events // 10)
    too_many = f"select slot from tag_hours group by slot having count(*) > {most}"
    for table, (keys, sums) in _TABLES.items():
        merged = ", ".join([*keys, *(f"sum({name}) as {name}" for name in sums)])
        cursor.execute(
            f"create temp table merged as select {merged} from {table} group by {', '.join(keys)}"
            f" order by {'slot, ' if table == 'tag_hours' else ''}hour"
        )
        cursor.execute(f"delete from {table}")
        cursor.execute(f"insert into {table} select * from merged")
        cursor.execute("drop table merged")
    cursor.execute(f"update tag_slots set summed = false where slot in ({too_many})")
    cursor.execute(
        "delete from tag_hours where slot in (select slot from tag_slots where not summed)"
    )
    return count(cursor)


def differences(cursor: Cursor) -> Iterator[tuple[str, int]]:
    """The tables whose sums are not those of the events, and the first hour of each."""
    for table, expected in _sums_of_events(summed_slots(cursor), "true", sign="-").items():
        keys, sums = _TABLES[table]
        differs = " or ".join(f"sum({name}) <> 0" for name in sums)
        found = cursor.execute(
            f"select hour from (select {', '.join([*keys, *sums])} from {table}"
            f" union all {expected}) group by {', '.join(keys)} having {differs}"
            " order by hour limit 1"
        ).fetchall()
        yield from ((table, hour) for (hour,) in found)


def _add(cursor: Cursor, slots: Sequence[int], condition: str, value: int, *, sign: str) -> int:
    added = 0
    for table, select in _sums_of_events(slots, condition, sign=sign).items():
        [(rows,)] = cursor.execute(f"insert into {table} {select}", [value]).fetchall()
        added += int(rows)
    return added


def _sums_of_events(slots: Sequence[int], condition: str, *, sign: str) -> dict[str, str]:
    """A statement for each table that has something to sum; `slots` are those of the tags."""
    sources = {"hours": f"events where {condition}"}
    if slots:
        numbers = ", ".join(map(str, slots))
        values = ", ".join(f"tag_{slot}" for slot in slots)
        sources["tag_hours"] = (
            f"(select *, unnest([{numbers}]) as slot, unnest([{values}]) as value from events"
            f" where {condition}) where value is not null"
        )
    return {table: _statement(table, source, sign) for table, source in sources.items()}


def _statement(table: str, source: str, sign: str) -> str:
    keys, sums = _TABLES[table]
    selected = [f"{sql} as {name}" for name, sql in keys.items()]
    selected += [f"{sign}{sql} as {name}" for name, sql in sums.items()]
    return f"select {', '.join(selected)} from {source} group by {', '.join(keys.values())}"


def summed_slots(cursor: Cursor) -> list[int]:
    """The slots whose values have sums."""
    found = cursor.execute("select slot from tag_slots where summed order by slot").fetchall()
    return [slot for (slot,) in found]

"""Counts of durations that are kept: a row for each day or hour, of all its calls and by group.

A row holds for as long as its span has as many calls as when it was counted. Late events make them
more; what takes events out, or makes sums anew, forgets the rows of the spans that it touched and
begins another epoch, in which nothing is kept that was counted before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from tokenwatcher_server.events.query import UsageQuery
from tokenwatcher_server.kernel.clock import DAY_US, HOUR_US
from tokenwatcher_server.stores.postgres.connections import Connection
from tokenwatcher_server.stores.postgres.counting import (
    COLUMNS,
    Counted,
    Group,
    Packed,
    is_wanted,
    total,
    wants_all,
)
from tokenwatcher_server.stores.postgres.spans import Span

_NAMES: Final = ("workspace_id", "start", "length", "calls", *COLUMNS, "groups")
_BEGIN_EPOCH: Final = "update duration_epoch set epoch = epoch + 1"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[Group, ...]).decode


async def wanted_of(
    connection: Connection, query: UsageQuery, calls: Mapping[Span, int]
) -> dict[Span, list[Packed]]:
    """What a query's calls took, of those spans whose counts were kept and hold."""
    if wants_all(query):
        rows = await _rows(connection, calls, ", ".join(COLUMNS))
        return {span: [packed] for span, packed in rows.items()}
    return {
        span: wanted_groups(query, span, groups)
        for span, groups in (await _groups(connection, calls)).items()
    }


def wanted_groups(query: UsageQuery, span: Span, groups: Sequence[Group]) -> list[Packed]:
    return [group.packed for group in groups if is_wanted(query, span.workspace_id, group)]


async def counted_of(connection: Connection, calls: Mapping[Span, int]) -> dict[Span, Counted]:
    """The whole counts of those spans whose counts were kept and hold."""
    found = await _groups(connection, calls)
    return {span: Counted(calls[span], groups) for span, groups in found.items()}


async def all_that_hold(connection: Connection) -> dict[Span, Counted]:
    """The whole counts of all spans whose counts were kept and hold."""
    rows = await connection.fetch(
        "select workspace_id, start, length, calls, groups from durations where calls ="
        " (select sum(calls) from hours where hours.workspace_id = durations.workspace_id"
        " and hour >= start and hour < start + length)"
    )
    return {Span(*tuple(row)[:3]): Counted(row["calls"], _decode(row["groups"])) for row in rows}


async def epoch_of(connection: Connection) -> int:
    return int(await connection.fetchval("select epoch from duration_epoch"))


async def keep(connection: Connection, counted: Mapping[Span, Counted], epoch: int) -> None:
    """Write down what was counted, unless another epoch has begun since."""
    async with connection.transaction():
        now = await connection.fetchval("select epoch from duration_epoch for share")
        if now != epoch:
            return
        await connection.executemany(
            f"insert into durations ({', '.join(_NAMES)}) values ($1, $2, $3, $4, $5, $6, $7)"
            " on conflict (workspace_id, start, length) do update set"
            f" {', '.join(f'{name} = excluded.{name}' for name in _NAMES[3:])}"
            " where durations.calls < excluded.calls",
            # in one order everywhere, so that two servers can't wait for each other in a circle
            [
                (span.workspace_id, span.start_us, span.length_us, each.calls,
                 *total(each.groups), _encode(each.groups))
                for span, each in sorted(counted.items())
            ],
        )  # fmt: skip


async def forget_erasing(connection: Connection) -> None:
    """Forget the hours and days of the events in the table `erasing`."""
    await connection.execute(_BEGIN_EPOCH)
    starts = (f"occurred_at / {length} * {length}" for length in (HOUR_US, DAY_US))
    touched = " union ".join(f"select workspace_id, {start} from erasing" for start in starts)
    await connection.execute(f"delete from durations where (workspace_id, start) in ({touched})")


async def forget(
    connection: Connection, start_us: int, end_us: int, workspaces: Sequence[str] | None
) -> None:
    """Forget what touches a period, of some workspaces or of all."""
    await connection.execute(_BEGIN_EPOCH)
    await connection.execute(
        "delete from durations where start + length > $1 and start < $2"
        " and ($3::text[] is null or workspace_id = any($3::text[]))",
        start_us, end_us, workspaces,
    )  # fmt: skip


async def _groups(
    connection: Connection, calls: Mapping[Span, int]
) -> dict[Span, tuple[Group, ...]]:
    rows = await _rows(connection, calls, "groups")
    return {span: _decode(groups) for span, (groups,) in rows.items()}


async def _rows(
    connection: Connection, calls: Mapping[Span, int], columns: str
) -> dict[Span, tuple[Any, ...]]:
    rows = await connection.fetch(
        f"select workspace_id, start, length, {columns} from durations"
        " join unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])"
        " as asked (workspace_id, start, length, calls)"
        " using (workspace_id, start, length, calls)",
        [span.workspace_id for span in calls],
        [span.start_us for span in calls],
        [span.length_us for span in calls],
        list(calls.values()),
    )
    return {Span(*tuple(row)[:3]): tuple(row)[3:] for row in rows}

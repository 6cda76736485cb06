"""A table for each month of events, made when the first event of that month comes."""

from collections.abc import Iterable
from datetime import UTC, datetime

from tokenwatcher_server.kernel.clock import to_datetime
from tokenwatcher_server.stores.postgres.connections import Connection

Month = tuple[int, int]
LOCK = int.from_bytes(b"tw-month")
"""The advisory lock of whoever makes a month's table."""


def months_of(instants: Iterable[int]) -> set[Month]:
    """The months (UTC) that instants in microseconds fall in."""
    return {(at.year, at.month) for at in map(to_datetime, {us // _DAY * _DAY for us in instants})}


_DAY = 86_400_000_000


async def make_month(connection: Connection, month: Month) -> None:
    """Make the table of a month, unless it is there.

    It is attached when it is whole: making it as a part would lock everybody else out.
    """
    year, number = month
    name = f"events_{year:04}_{number:02}"
    start = _start(month)
    end = _start((year, number + 1) if number < 12 else (year + 1, 1))
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({LOCK})")
        if await connection.fetchval("select to_regclass($1::text) is not null", name):
            return
        await connection.execute(f"create table {name} (like events including all)")
        await connection.execute(
            f"alter table events attach partition {name} for values from ({start}) to ({end})"
        )


def _start(month: Month) -> int:
    return int(datetime(*month, 1, tzinfo=UTC).timestamp()) * 1_000_000

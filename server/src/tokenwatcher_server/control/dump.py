"""The control data as lines of JSON, for any database to take in.

The first line names the schema's revision; each further one is a row: `["users", {...}]`, bytes
as base64. What only holds for a while (sessions, sign-in links and failures) is left out.
"""

import base64
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

import msgspec
from sqlalchemy import LargeBinary, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.control.database import Database
from tokenwatcher_server.control.migrate import HEAD, upgrade
from tokenwatcher_server.control.tables import metadata

LEFT_OUT: Final = ("sessions", "sign_in_links", "sign_in_failures", "leases")
ROWS_AT_ONCE: Final = 500

Row = tuple[str, dict[str, Any]]
_encoder: Final = msgspec.json.Encoder()
_decode_row: Final = msgspec.json.Decoder(Row).decode


class Head(msgspec.Struct, frozen=True):
    """The first line."""

    schema: str


class DumpRefused(Exception):
    """The lines are not a dump that this version can take in; the message says why."""


def tables() -> list[Table]:
    """Every table that is dumped, those first that others refer to."""
    return [table for table in metadata.sorted_tables if table.name not in LEFT_OUT]


async def dump(connection: AsyncConnection) -> AsyncIterator[tuple[str | None, bytes]]:
    """Give the lines of one snapshot, each with the table that its row is of."""
    yield None, _encoder.encode(Head(HEAD))
    for table in tables():
        rows = await connection.stream(select(table).order_by(*table.primary_key))
        async for row in rows:
            values = zip(table.columns.keys(), row, strict=True)
            yield table.name, _encoder.encode((str(table.name), {str(k): v for k, v in values}))


async def load(database: Database, lines: Iterable[bytes]) -> None:
    """Fill an empty database, in one transaction, and bring it to this version's schema.

    Raises DumpRefused for lines that are no dump, or one of a newer version.
    """
    remaining = iter(lines)
    try:
        schema = msgspec.json.decode(next(remaining, b""), type=Head).schema
        if schema > HEAD:
            raise DumpRefused(f"it is of a newer TokenWatcher (schema {schema}, here {HEAD})")
        async with database.long_transaction() as connection:
            await connection.run_sync(upgrade, schema)
            for name, rows in groupby(_rows(remaining), key=lambda row: row[0]):
                await _insert(connection, metadata.tables[name], (row for _, row in rows))
            await connection.run_sync(upgrade)
    except (msgspec.DecodeError, KeyError) as error:
        raise DumpRefused(f"the control data can't be read: {error}") from None


def _rows(lines: Iterator[bytes]) -> Iterator[Row]:
    return (_decode_row(line) for line in lines)


async def _insert(
    connection: AsyncConnection, table: Table, rows: Iterator[Mapping[str, Any]]
) -> None:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(_native(table, row))
        if len(held) == ROWS_AT_ONCE:
            await connection.execute(insert(table), held)
            held = []
    if held:
        await connection.execute(insert(table), held)


def _native(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value)
        if value is not None and isinstance(table.columns[name].type, LargeBinary)
        else value
        for name, value in row.items()
    }

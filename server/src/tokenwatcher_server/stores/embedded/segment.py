"""A segment: the events of one commit as columns, packed small.

The form is a msgpack pair `[rows, {column number: values}]`, compressed with zstd. A column
that holds one value throughout is stored once; one that holds nothing is left out; numbers
that vary are packed as 64-bit integers, so that neither writing nor reading makes an object
of each. It is as compact for one event as for a thousand.
"""

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.stores.embedded.schema import (
    COLUMNS,
    COST_BUCKETS,
    COST_COLUMNS,
    EVENT_COLUMNS,
    NUMBER_OF,
    TOKEN_COLUMNS,
    Kind,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ABSENT = -(2**63)
"""Stands for None among packed numbers; no count, instant or amount can be it."""
_LEVEL = 3

Numbers = NDArray[np.int64]
Values = Sequence[Any]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, dict[int, Any]])


class Segment(msgspec.Struct, frozen=True):
    """Columns by name. A column is a constant, or `Numbers`, or a list with a value a row."""

    rows: int
    columns: dict[str, Any]

    def values(self, name: str) -> Values:
        """Give a column as one Python value a row."""
        column = self.columns.get(name)
        if isinstance(column, np.ndarray):
            return [None if value == ABSENT else value for value in column.tolist()]
        if isinstance(column, list):
            return column
        return [column] * self.rows

    def distinct(self, name: str) -> Values:
        """Like `values`, but a constant once."""
        column = self.columns.get(name)
        return column if isinstance(column, list) else [column]


def gather(events: Sequence[PricedEvent]) -> dict[str, Values]:
    """Turn events into columns, without a Python loop over their fields."""
    astuple = msgspec.structs.astuple
    columns = _transpose(EVENT_COLUMNS, (astuple(priced.event) for priced in events))
    columns |= _transpose(TOKEN_COLUMNS, map(astuple, columns.pop("tokens")))
    del columns["content_digest"]
    columns |= gather_costs([priced.cost for priced in events])
    return columns


def gather_costs(costs: Iterable[Any]) -> dict[str, Values]:
    astuple = msgspec.structs.astuple
    columns = _transpose(COST_COLUMNS, map(astuple, costs))
    columns |= _transpose(COST_BUCKETS, map(astuple, columns.pop("buckets")))
    return columns


def _transpose(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Values]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def encode(rows: int, columns: dict[str, Values]) -> bytes:
    body: dict[int, Any] = {}
    for name, values in columns.items():
        number = NUMBER_OF[name]
        first = values[0]
        if values[-1] == first and values.count(first) == rows:
            if first is not None and first != {}:
                body[number] = first
        elif COLUMNS[number].kind is Kind.NUMBER:
            body[number] = _pack(values)
        else:
            body[number] = values
    return zstd.compress(_encoder.encode((rows, body)), _LEVEL)


def _pack(values: Values) -> bytes:
    try:
        packed = array("q", values)
    except TypeError:  # there is a None among them
        packed = array("q", [ABSENT if value is None else value for value in values])
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def decode(data: bytes) -> Segment:
    """Read a segment. Raises ValueError where it is not one."""
    try:
        rows, body = _decoder.decode(zstd.decompress(data))
    except (zstd.ZstdError, msgspec.DecodeError, EOFError) as error:
        raise ValueError(f"not a segment: {error}") from None
    columns: dict[str, Any] = {}
    for number, values in body.items():
        if number >= len(COLUMNS):
            raise ValueError(f"column {number} was written by a newer version")
        column = COLUMNS[number]
        if column.kind is Kind.NUMBER and isinstance(values, bytes):
            values = np.frombuffer(values, "<i8")
        columns[column.name] = values
    return Segment(rows, columns)

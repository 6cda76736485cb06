"""A segment: the events of one commit as columns, packed small.

The form is a msgpack pair `[rows, {column number: values}]`, compressed with zstd. A column
that holds one value throughout is stored once; one that holds nothing is left out. Ids are
their bytes, where all are UUIDs. Numbers that vary are 64-bit integers, all their first bytes
before all their second ones, which compresses well and makes no object of each; instants are
kept as differences to the one before. It is as compact for one event as for a thousand.
"""

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.stores.embedded.identity import pack_uuids, unpack_uuids
from tokenwatcher_server.stores.embedded.rates import fold
from tokenwatcher_server.stores.embedded.schema import (
    COLUMNS,
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
    """Columns by name.

    A column is a constant, a list with a value a row, `Numbers`, or ids as bytes of UUIDs.
    """

    rows: int
    columns: dict[str, Any]

    def values(self, name: str) -> Values:
        """Give a column as one Python value a row."""
        column = self.columns.get(name)
        if isinstance(column, np.ndarray):
            return [None if value == ABSENT else value for value in column.tolist()]
        if isinstance(column, bytes):
            return unpack_uuids(column)
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
    columns = _transpose(EVENT_COLUMNS, [astuple(priced.event) for priced in events])
    tokens = _transpose(TOKEN_COLUMNS, map(astuple, columns.pop("tokens")))
    del columns["content_digest"]
    return columns | tokens | gather_costs([priced.cost for priced in events], tokens)


def gather_costs(costs: Sequence[Cost], tokens: Mapping[str, Values]) -> dict[str, Values]:
    """Turn costs into columns; `tokens` are those of the same events, where they are known."""
    astuple = msgspec.structs.astuple
    columns = _transpose(COST_COLUMNS, map(astuple, costs))
    buckets = list(zip(*map(astuple, columns.pop("buckets")), strict=True))
    unknown = (None,) * len(costs)
    counts = [tokens.get(name, unknown) for name in TOKEN_COLUMNS]
    columns["cost_rates"] = fold(buckets, counts)
    return columns


def _transpose(names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, Values]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def encode(rows: int, columns: Mapping[str, Values]) -> bytes:
    body: dict[int, Any] = {}
    for name, values in columns.items():
        number = NUMBER_OF[name]
        kind = COLUMNS[number].kind
        first = values[0]
        if kind is Kind.ID:
            body[number] = pack_uuids(values) or values
        elif values[-1] == first and values.count(first) == rows:
            if first is not None and first != {}:
                body[number] = first
        elif kind is Kind.NUMBER:
            body[number] = _pack(_numbers(values))
        elif kind is Kind.INSTANT:
            body[number] = _pack(np.diff(_numbers(values), prepend=0))
        else:
            body[number] = values
    return zstd.compress(_encoder.encode((rows, body)), _LEVEL)


def _numbers(values: Values) -> Numbers:
    try:
        numbers = array("q", values)
    except TypeError:  # there is a None among them
        numbers = array("q", [ABSENT if value is None else value for value in values])
    return np.frombuffer(numbers, np.int64)


def _pack(numbers: Numbers) -> bytes:
    return numbers.astype("<i8", copy=False).view(np.uint8).reshape(-1, 8).T.tobytes()


def _unpack(data: bytes) -> Numbers:
    return np.frombuffer(data, np.uint8).reshape(8, -1).T.copy().view("<i8").reshape(-1)


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
        if not isinstance(values, bytes) or column.kind is Kind.ID:
            columns[column.name] = values
        elif column.kind is Kind.INSTANT:
            columns[column.name] = np.cumsum(_unpack(values))
        else:
            columns[column.name] = _unpack(values)
    return Segment(rows, columns)

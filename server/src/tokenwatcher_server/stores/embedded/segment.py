"""A segment: the events of one commit as columns, packed small.

The form is a msgpack array, compressed with zstd: the rows, the shapes, the tag sets, and the
other columns as a map from their numbers. Calls of one kind share most of what is said of
them: each such combination is a shape, stored once, and a code says which one a row has; the
same goes for tags. Of the other columns, one that holds nothing is left out and one that
holds a single value is stored once. Numbers and ids are bytes, all their first ones before
all their second ones, which compresses well and makes no object of each; instants are kept as
differences to the one before. It is as compact for one event as for a thousand.
"""

import sys
from array import array
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.stores.gather import Values
from tokenwatcher_server.stores.identity import pack_uuids, unpack_uuids
from tokenwatcher_server.stores.schema import (
    ABSENT,
    COLUMNS,
    NUMBER_OF,
    SHAPE_COLUMNS,
    Kind,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_LEVEL = 1

Numbers = NDArray[np.int64]
Codes = NDArray[np.int32]

_Coded = tuple[bytes | None, Any]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    tuple[
        int,
        tuple[bytes | None, dict[int, list[Any]]],
        tuple[bytes | None, list[dict[str, str]]],
        dict[int, Any],
    ]
)


class Segment(msgspec.Struct, frozen=True):
    """Columns by name, of three kinds.

    `shapes` have a value for every shape, and `shape_codes` say which shape each row has; so do
    `tag_codes` of `tag_sets`. Without codes, all rows have the first. One of `columns` is a
    constant, a list with a value a row, `Numbers`, or ids as bytes of UUIDs.
    """

    rows: int
    shape_codes: Codes | None
    shapes: dict[str, list[Any]]
    tag_codes: Codes | None
    tag_sets: list[dict[str, str]]
    columns: dict[str, Any]

    def values(self, name: str) -> list[Any]:
        """Give a column as one Python value a row."""
        if name in self.shapes:
            return self._spread(self.shape_codes, self.shapes[name])
        if name == "tags":
            return self._spread(self.tag_codes, self.tag_sets)
        column = self.columns.get(name)
        if isinstance(column, np.ndarray):
            return [None if value == ABSENT else value for value in column.tolist()]
        if isinstance(column, bytes):
            return unpack_uuids(column)
        if isinstance(column, list):
            return column
        return [column] * self.rows

    def shape_count(self) -> int:
        return max(map(len, self.shapes.values()), default=1)

    def _spread(self, codes: Codes | None, values: list[Any]) -> list[Any]:
        if codes is None:
            return values[:1] * self.rows
        return [values[code] for code in codes.tolist()]


NOTHING: Final = Segment(0, None, {}, None, [], {})


def encode(rows: int, columns: Mapping[str, Values]) -> bytes:
    body: dict[int, Any] = {}
    for name, values in columns.items():
        number = NUMBER_OF[name]
        if name in SHAPE_COLUMNS or name == "tags":
            continue
        if (packed := _packed(COLUMNS[number].kind, rows, values)) is not None:
            body[number] = packed
    tag_sets = _tag_sets(columns.get("tags", ({},)))
    return zstd.compress(_encoder.encode((rows, _shapes(columns), tag_sets, body)), _LEVEL)


def _shapes(columns: Mapping[str, Values]) -> _Coded:
    names = [name for name in SHAPE_COLUMNS if name in columns]
    codes, found = _coded(zip(*[columns[name] for name in names], strict=True))
    shapes = dict(zip(names, zip(*found, strict=True), strict=True))
    return codes, {
        NUMBER_OF[name]: values
        for name, values in shapes.items()
        if values.count(None) < len(found)
    }


def _tag_sets(tags: Values) -> _Coded:
    codes, found = _coded(tuple(each.items()) for each in tags)
    return codes, [dict(each) for each in found]


def _coded(values: Iterable[Hashable]) -> tuple[bytes | None, list[Any]]:
    """Number the different values in the order they come, and give each one's number."""
    found: dict[Hashable, int] = {}
    codes = [found.setdefault(value, len(found)) for value in values]
    return (None if len(found) == 1 else _pack(np.array(codes, np.int32)), list(found))


def _packed(kind: Kind, rows: int, values: Values) -> Any:
    """Give a column as it is stored, None where it holds nothing."""
    first = values[0]
    if kind is Kind.ID:
        packed = pack_uuids(values)
        return list(values) if packed is None else _pack(np.frombuffer(packed, "V16"))
    if values[-1] == first and values.count(first) == rows:
        return None if first == {} else first
    if kind is Kind.NUMBER:
        return _pack(_numbers(values))
    if kind is Kind.INSTANT:
        return _pack(np.diff(_numbers(values), prepend=0))
    return values


def _numbers(values: Values) -> Numbers:
    try:
        numbers = array("q", values)
    except TypeError:  # there is a None among them
        numbers = array("q", [ABSENT if value is None else value for value in values])
    return np.frombuffer(numbers, np.int64)


def _pack(values: NDArray[Any]) -> bytes:
    if sys.byteorder == "big" and values.dtype.kind == "i":
        values = values.byteswap()
    width = values.dtype.itemsize
    return values.view(np.uint8).reshape(-1, width).T.tobytes()


def _unpack(data: bytes, dtype: str) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.copy().view(dtype).reshape(-1)


def decode(data: bytes) -> Segment:
    """Read a segment. Raises ValueError where it is not one."""
    try:
        rows, (codes, shapes), (tag_codes, tag_sets), body = _decoder.decode(zstd.decompress(data))
    except (zstd.ZstdError, msgspec.DecodeError, EOFError) as error:
        raise ValueError(f"not a segment: {error}") from None
    if max((*shapes, *body), default=0) >= len(COLUMNS):
        raise ValueError("a column was written by a newer version")
    return Segment(
        rows=rows,
        shape_codes=None if codes is None else _unpack(codes, "<i4"),
        shapes={COLUMNS[number].name: values for number, values in shapes.items()},
        tag_codes=None if tag_codes is None else _unpack(tag_codes, "<i4"),
        tag_sets=tag_sets,
        columns={
            COLUMNS[number].name: _unpacked(COLUMNS[number].kind, values)
            for number, values in body.items()
        },
    )


def _unpacked(kind: Kind, values: Any) -> Any:
    if not isinstance(values, bytes):
        return values
    if kind is Kind.ID:
        return _unpack(values, "V16").tobytes()
    numbers = _unpack(values, "<i8")
    return np.cumsum(numbers) if kind is Kind.INSTANT else numbers

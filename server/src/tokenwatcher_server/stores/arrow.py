"""Columns as Arrow arrays, which DuckDB takes as they are; made from buffers, without pyarrow."""

from collections.abc import Sequence
from typing import Any

import nanoarrow as na
import numpy as np
from numpy.typing import NDArray

_MAP_TYPE = na.map_(na.string(), na.string())
_ENTRY_TYPE = na.c_schema(_MAP_TYPE).child(0)


def numbers(values: NDArray[np.int64], absent: int) -> Any:
    """64-bit integers; `absent` stands for null."""
    present = values != absent
    validity = None if present.all() else np.packbits(present, bitorder="little")
    return na.c_array_from_buffers(na.int64(), len(values), [validity, values])


def flags(values: Sequence[bool | None]) -> Any:
    data = np.packbits([value is True for value in values], bitorder="little")
    return na.c_array_from_buffers(na.bool_(), len(values), [_validity(values), data])


def texts(values: Sequence[str | None]) -> Any:
    validity = _validity(values)
    filled: Sequence[Any] = values if validity is None else [value or "" for value in values]
    data, offsets = _packed(filled)
    return na.c_array_from_buffers(na.string(), len(values), [validity, offsets, data])


def even_texts(text: str, length: int) -> Any:
    """ASCII texts of one length, given one after the other."""
    offsets = np.arange(0, len(text) + 1, length, dtype=np.int32)
    return na.c_array_from_buffers(na.string(), len(offsets) - 1, [None, offsets, text.encode()])


def maps(values: Sequence[dict[str, str] | None]) -> Any:
    """Maps of text to text; an empty one is null."""
    held = [value or {} for value in values]
    keys = texts([key for value in held for key in value])
    items = texts([item for value in held for item in value.values()])
    entries = na.c_array_from_buffers(_ENTRY_TYPE, keys.length, [None], children=[keys, items])
    validity = np.packbits([bool(value) for value in held], bitorder="little")
    buffers = [validity, _offsets(list(map(len, held)))]
    return na.c_array_from_buffers(_MAP_TYPE, len(held), buffers, children=[entries])


def stream(rows: int, columns: dict[str, Any]) -> na.ArrayStream:
    """Put columns together as a table that DuckDB can read once."""
    schema = na.struct({name: na.Schema(column.schema) for name, column in columns.items()})
    table = na.c_array_from_buffers(schema, rows, [None], children=list(columns.values()))
    return na.ArrayStream(table)


def _validity(values: Sequence[Any]) -> NDArray[np.uint8] | None:
    if None not in values:
        return None
    return np.packbits([value is not None for value in values], bitorder="little")


def _packed(values: Sequence[str]) -> tuple[bytes, NDArray[np.int32]]:
    data = "".join(values)
    if data.isascii():
        return data.encode(), _offsets(list(map(len, values)))
    encoded = [value.encode() for value in values]
    return b"".join(encoded), _offsets(list(map(len, encoded)))


def _offsets(lengths: Sequence[int]) -> NDArray[np.int32]:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets

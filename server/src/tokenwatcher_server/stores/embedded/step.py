"""A step of the applier: segments put together into tables for DuckDB.

What calls share, their shapes and tag sets, goes in tables of its own, and DuckDB joins them:
a Python value a row is made only where rows differ.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.stores import arrow
from tokenwatcher_server.stores.embedded.segment import Codes, Numbers, Segment
from tokenwatcher_server.stores.identity import is_uuid
from tokenwatcher_server.stores.schema import (
    ABSENT,
    COLUMNS,
    DETAIL_COLUMNS,
    REPRICING_COLUMNS,
    SHAPE_COLUMNS,
    Column,
    Kind,
)

Sequenced = tuple[int, Segment]
_json = msgspec.json.Encoder()
_NOTHING: Final[tuple[Any, ...]] = (None, {})


class Table(msgspec.Struct, frozen=True):
    """Arrow columns by name; those that hold nothing throughout are left out."""

    rows: int
    columns: dict[str, Any]


class EventStep(msgspec.Struct, frozen=True):
    """Rows, and what they share by its number: `shape` and `tag_set` in `rows`."""

    rows: Table
    shapes: Table
    tag_sets: Table


def event_step(segments: Sequence[Sequenced], slots: Mapping[str, int]) -> EventStep:
    """Give the rows of `segments`, in order. `slots` are the tag keys with own columns."""
    parts = [segment for _, segment in segments]
    return EventStep(_rows(segments), _shapes(parts), _tag_sets(parts, slots))


def price_step(segment: Segment) -> Table:
    """Give the rows of a repricing: the events' places and ids, and their new costs."""
    counts = np.array([segment.rows])
    columns: dict[str, Any] = {"other_id": arrow.texts([None] * segment.rows)}
    for column in REPRICING_COLUMNS:
        if column.kind is Kind.NUMBER:
            numbers = _numbers(column.name, [segment], counts)
            columns[column.name] = arrow.numbers(numbers, ABSENT)
        elif column.kind is Kind.ID:
            columns |= _ids([segment])
        else:
            columns[column.name] = arrow.texts(segment.values(column.name))
    return Table(segment.rows, columns)


def _rows(segments: Sequence[Sequenced]) -> Table:
    parts = [segment for _, segment in segments]
    counts = np.array([part.rows for part in parts])
    present = set(chain.from_iterable(part.columns for part in parts))
    sequences = np.array([sequence for sequence, _ in segments], np.int64)
    columns = {
        "sequence": arrow.numbers(np.repeat(sequences, counts), ABSENT),
        "shape": arrow.numbers(
            _codes([part.shape_codes for part in parts], map(Segment.shape_count, parts), counts),
            ABSENT,
        ),
        "tag_set": arrow.numbers(
            _codes([part.tag_codes for part in parts], [len(p.tag_sets) for p in parts], counts),
            ABSENT,
        ),
    }
    totals = _Totals(int(counts.sum()))
    for column in COLUMNS:
        if column.name in present and column.name not in DETAIL_COLUMNS:
            columns |= _row_column(column, parts, counts, totals)
    columns["input_tokens"] = arrow.numbers(totals.input, ABSENT)
    columns["output_tokens"] = arrow.numbers(totals.output, ABSENT)
    return Table(totals.rows, columns | _details(parts))


def _row_column(
    column: Column, parts: Sequence[Segment], counts: NDArray[np.int_], totals: "_Totals"
) -> dict[str, Any]:
    if column.kind is Kind.ID:
        return _ids(parts)
    if column.kind in {Kind.NUMBER, Kind.INSTANT}:
        numbers = _numbers(column.name, parts, counts)
        totals.add(column.name, numbers)
        return {column.name: arrow.numbers(numbers, ABSENT)}
    return {column.name: _BUILD[column.kind](_values(column.name, parts))}


def _shapes(parts: Sequence[Segment]) -> Table:
    sizes = [part.shape_count() for part in parts]
    columns = {"shape": arrow.numbers(np.arange(sum(sizes), dtype=np.int64), ABSENT)}
    for column in COLUMNS:
        if column.name not in SHAPE_COLUMNS or column.name in DETAIL_COLUMNS:
            continue
        values: list[Any] = []
        for part, size in zip(parts, sizes, strict=True):
            values += part.shapes.get(column.name) or [None] * size
        columns[column.name] = _BUILD[column.kind](values)
    return Table(sum(sizes), columns)


def _tag_sets(parts: Sequence[Segment], slots: Mapping[str, int]) -> Table:
    sets = list(chain.from_iterable(part.tag_sets for part in parts))
    keys = set(chain.from_iterable(sets))
    columns = {"tag_set": arrow.numbers(np.arange(len(sets), dtype=np.int64), ABSENT)}
    for key in sorted(keys & slots.keys()):
        columns[f"tag_{slots[key]}"] = arrow.texts([tags.get(key) for tags in sets])
    if keys - slots.keys():
        rest = [{key: tags[key] for key in tags if key not in slots} for tags in sets]
        columns["tags"] = arrow.maps(rest)
    return Table(len(sets), columns)


class _Totals:
    """Sums the token buckets of a step into input and output."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.input = np.zeros(rows, np.int64)
        self.output = np.zeros(rows, np.int64)

    def add(self, name: str, numbers: Numbers) -> None:
        if name in INPUT_BUCKETS:
            self.input += np.where(numbers == ABSENT, 0, numbers)
        elif name in OUTPUT_BUCKETS:
            self.output += np.where(numbers == ABSENT, 0, numbers)


def _codes(
    codes: Sequence[Codes | None], sizes: Iterable[int], counts: NDArray[np.int_]
) -> Numbers:
    """Number what the segments share throughout the step instead of in each segment."""
    starts = np.cumsum([0, *sizes])[:-1]
    within = [
        np.zeros(count, np.int64) if code is None else code
        for code, count in zip(codes, counts.tolist(), strict=True)
    ]
    numbers: Numbers = np.concatenate(within) + np.repeat(starts, counts)
    return numbers


def _numbers(name: str, parts: Sequence[Segment], counts: NDArray[np.int_]) -> Numbers:
    values = [segment.columns.get(name, ABSENT) for segment in parts]
    varying = [isinstance(value, np.ndarray) for value in values]
    if not any(varying):
        return np.repeat(np.array(values, np.int64), counts)
    return np.concatenate(
        [
            value if varies else np.full(count, value, np.int64)
            for value, varies, count in zip(values, varying, counts.tolist(), strict=True)
        ]
    )


def _values(name: str, parts: Sequence[Segment]) -> list[Any]:
    values: list[Any] = []
    for segment in parts:
        values += segment.values(name)
    return values


def _ids(parts: Sequence[Segment]) -> dict[str, Any]:
    """UUIDs as such, other ids as text; whichever it isn't is null."""
    ids = [segment.columns["id"] for segment in parts]
    packed = [part for part in ids if isinstance(part, bytes)]
    if len(packed) == len(ids):
        return {"id": arrow.even_texts(b"".join(packed).hex(), 32)}
    texts = _values("id", parts)
    uuids = [is_uuid(text) for text in texts]
    return {
        "id": arrow.texts(
            [text if uuid else None for text, uuid in zip(texts, uuids, strict=True)]
        ),
        "other_id": arrow.texts(
            [None if uuid else text for text, uuid in zip(texts, uuids, strict=True)]
        ),
    }


def _details(parts: Sequence[Segment]) -> dict[str, Any]:
    """What is only shown, as one JSON text; null where there is nothing of it, as in most rows."""
    details: dict[int, dict[str, Any]] = {}
    start = 0
    for part in parts:
        for name in DETAIL_COLUMNS:
            if name not in part.columns and name not in part.shapes:
                continue
            for row, value in enumerate(part.values(name), start):
                if value not in _NOTHING:
                    details.setdefault(row, {})[name] = value
        start += part.rows
    if not details:
        return {}
    texts: list[str | None] = [None] * start
    for row, held in details.items():
        texts[row] = _json.encode(held).decode()
    return {"details": arrow.texts(texts)}


_BUILD: dict[Kind, Callable[[Sequence[Any]], Any]] = {
    Kind.TEXT: arrow.texts,
    Kind.FLAG: arrow.flags,
}

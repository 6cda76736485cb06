"""A step of the applier: segments put together into one table for DuckDB."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.stores.embedded import arrow
from tokenwatcher_server.stores.embedded.identity import is_uuid
from tokenwatcher_server.stores.embedded.schema import COLUMNS, REPRICING_COLUMNS, Kind
from tokenwatcher_server.stores.embedded.segment import ABSENT, Numbers, Segment

Sequenced = tuple[int, Segment]
_json = msgspec.json.Encoder()


class Step(msgspec.Struct, frozen=True):
    """A table of rows; columns that hold nothing throughout are left out."""

    rows: int
    columns: dict[str, Any]


def event_step(segments: Sequence[Sequenced], slots: dict[str, int]) -> Step:
    """Give the rows of `segments`, in order. `slots` are the tag keys with own columns."""
    parts = [segment for _, segment in segments]
    counts = np.array([segment.rows for segment in parts])
    present = set(chain.from_iterable((*part.shapes, *part.columns) for part in parts))
    sequences = np.array([sequence for sequence, _ in segments], np.int64)
    columns = {"sequence": arrow.numbers(np.repeat(sequences, counts), ABSENT)}
    totals = _Totals(int(counts.sum()))
    for column in COLUMNS:
        if column.name not in present:
            continue
        if column.kind is Kind.ID:
            columns |= _ids(parts)
        elif column.kind in {Kind.NUMBER, Kind.INSTANT}:
            numbers = _numbers(column.name, parts, counts)
            totals.add(column.name, numbers)
            columns[column.name] = arrow.numbers(numbers, ABSENT)
        elif column.kind is Kind.TAGS:
            columns |= _tags(_values(column.name, parts), slots)
        else:
            columns[column.name] = _BUILD[column.kind](_values(column.name, parts))
    columns["input_tokens"] = arrow.numbers(totals.input, ABSENT)
    columns["output_tokens"] = arrow.numbers(totals.output, ABSENT)
    return Step(totals.rows, columns)


def price_step(segments: Sequence[Segment]) -> Step:
    """Give the rows of repricing segments: the events' places and ids, and their new costs."""
    counts = np.array([segment.rows for segment in segments])
    rows = int(counts.sum())
    columns: dict[str, Any] = {"other_id": arrow.texts([None] * rows)}
    for column in REPRICING_COLUMNS:
        if column.kind is Kind.NUMBER:
            numbers = _numbers(column.name, segments, counts)
            columns[column.name] = arrow.numbers(numbers, ABSENT)
        elif column.kind is Kind.ID:
            columns |= _ids(segments)
        else:
            columns[column.name] = arrow.texts(_values(column.name, segments))
    return Step(rows, columns)


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
    texts = list(chain.from_iterable(segment.values("id") for segment in parts))
    uuids = [is_uuid(text) for text in texts]
    return {
        "id": arrow.texts(
            [text if uuid else None for text, uuid in zip(texts, uuids, strict=True)]
        ),
        "other_id": arrow.texts(
            [None if uuid else text for text, uuid in zip(texts, uuids, strict=True)]
        ),
    }


def _tags(values: Sequence[dict[str, str] | None], slots: dict[str, int]) -> dict[str, Any]:
    held = [value or {} for value in values]
    keys = set(chain.from_iterable(held))
    columns = {
        f"tag_{slots[key]}": arrow.texts([tags.get(key) for tags in held])
        for key in sorted(keys & slots.keys())
    }
    if keys - slots.keys():
        rest = [{key: tags[key] for key in tags if key not in slots} for tags in held]
        columns["tags"] = arrow.maps(rest)
    return columns


def _json_texts(values: Sequence[dict[str, Any] | None]) -> Any:
    return arrow.texts([_json.encode(value).decode() if value else None for value in values])


_BUILD: dict[Kind, Callable[[Sequence[Any]], Any]] = {
    Kind.TEXT: arrow.texts,
    Kind.FLAG: arrow.flags,
    Kind.JSON: _json_texts,
}

"""Events and their later prices as Parquet files, every value exactly, for any store to read.

The columns are those of a stored event (`stores/schema.py`), amounts in picodollars. The
costs by bucket are rates, as `stores/rates.py` has them.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import numpy as np

from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Repricing
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.stores import arrow
from tokenwatcher_server.stores.gather import Values, gather, gather_costs
from tokenwatcher_server.stores.scatter import (
    EVENT_NAMES,
    REPRICING_NAMES,
    scatter,
    scatter_costs,
)
from tokenwatcher_server.stores.schema import ABSENT, COLUMNS, Kind

MEMORY = "128MB"
ROWS_AT_ONCE = 5_000
_encode_json: Final = msgspec.json.Encoder().encode
_decode_json: Final = msgspec.json.Decoder(dict[str, Any]).decode
_KINDS: Final = {column.name: column.kind for column in COLUMNS} | {"content_digest": Kind.TEXT}
_JSON: Final = tuple(name for name, kind in _KINDS.items() if kind is Kind.JSON)
_STORED: Final = (*EVENT_NAMES, "content_digest")
_INSTANTS: Final = tuple(name for name, kind in _KINDS.items() if kind is Kind.INSTANT)


def write_events(file: Path, events: Sequence[PricedEvent]) -> None:
    """Write events, in their order. Raises OSError where the disk does not take them."""
    columns = gather(events)
    digests = [priced.event.content_digest.hex() for priced in events]
    instants = ", ".join(f"make_timestamp({name}) as {name}" for name in _INSTANTS)
    _write(
        file,
        len(events),
        {name: columns[name] for name in EVENT_NAMES} | {"content_digest": digests},
        f"* replace ({instants}, unhex(content_digest) as content_digest)",
    )


def read_events(file: Path) -> Iterator[list[PricedEvent]]:
    """Read events, some thousands at a time, in the order they were written."""
    instants = ", ".join(f"epoch_us({name}) as {name}" for name in _INSTANTS)
    for rows in _read(file, _STORED, f"replace ({instants})"):
        columns: dict[str, Values] = dict(zip(_STORED, zip(*rows, strict=True), strict=True))
        columns |= {name: [_decode_json(text) for text in columns[name]] for name in _JSON}
        yield scatter(columns)


def write_repricings(file: Path, repricings: Sequence[Repricing]) -> None:
    """Write later prices, in their order."""
    columns: dict[str, Values] = {
        "workspace_id": [each.workspace_id for each in repricings],
        "id": [each.event_id for each in repricings],
    }
    columns |= gather_costs([each.cost for each in repricings], {})
    _write(file, len(repricings), columns, "*")


def read_repricings(file: Path) -> Iterator[list[Repricing]]:
    """Read later prices, some thousands at a time, in the order they were written."""
    for rows in _read(file, REPRICING_NAMES, ""):
        columns = dict(zip(REPRICING_NAMES, zip(*rows, strict=True), strict=True))
        costs = scatter_costs(columns, [Tokens()] * len(rows))
        named = zip(columns["workspace_id"], columns["id"], costs, strict=True)
        yield [Repricing(*each) for each in named]


def _write(file: Path, rows: int, columns: Mapping[str, Values], selected: str) -> None:
    with _engine() as connection:
        arrays = {name: _array(_KINDS[name], values) for name, values in columns.items()}
        connection.register("given", arrow.stream(rows, arrays))
        try:
            connection.execute(
                f"copy (select {selected} from given) to {_quoted(file)}"
                " (format parquet, compression zstd)"
            )
        except duckdb.IOException as error:
            raise OSError(f"{file} can't be written: {error}") from None


def _read(file: Path, names: Sequence[str], replaced: str) -> Iterator[list[tuple[Any, ...]]]:
    """Give rows of the named columns. Raises OSError for what is no Parquet file."""
    with _engine() as connection:
        try:
            connection.execute(
                f"select {', '.join(names)} from"
                f" (select * {replaced} from read_parquet({_quoted(file)}))"
            )
            while rows := connection.fetchmany(ROWS_AT_ONCE):
                yield rows
        except duckdb.Error as error:
            raise OSError(f"{file} can't be read: {error}") from None


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    # one thread, so that rows stay in their order
    connection = duckdb.connect(config={"threads": "1", "memory_limit": MEMORY})
    try:
        yield connection
    finally:
        connection.close()


def _array(kind: Kind, values: Values) -> Any:
    if kind in {Kind.NUMBER, Kind.INSTANT}:
        filled = [ABSENT if value is None else value for value in values]
        return arrow.numbers(np.array(filled, np.int64), ABSENT)
    if kind is Kind.FLAG:
        return arrow.flags(values)
    if kind is Kind.TAGS:
        return arrow.maps(values)
    if kind is Kind.JSON:
        return arrow.texts([_encode_json(value).decode() for value in values])
    return arrow.texts(values)


def _quoted(file: Path) -> str:
    return "'" + str(file).replace("'", "''") + "'"

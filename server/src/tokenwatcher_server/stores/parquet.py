"""A table as a Parquet file: amounts as exact decimals, instants in UTC."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from tokenwatcher_server.events.export import Column, Kind
from tokenwatcher_server.stores import arrow

MEMORY = "128MB"
_TYPES: Mapping[Kind, str] = {
    "text": "varchar",
    "integer": "bigint",
    "number": "double",
    "usd": "decimal(38, 12)",
    "instant": "timestamp",
}


def parquet(columns: Sequence[Column]) -> bytes:
    """The columns as the bytes of a file; every value is carried exactly."""
    with TemporaryDirectory(prefix="tokenwatcher-") as folder:
        file = Path(folder) / "table.parquet"
        connection = duckdb.connect(
            config={"threads": "1", "memory_limit": MEMORY, "temp_directory": folder}
        )
        try:
            rows = len(columns[0].values) if columns else 0
            texts = {f"c{place}": arrow.texts(_texts(one)) for place, one in enumerate(columns)}
            connection.register("given", arrow.stream(rows, texts))
            connection.execute(f"copy ({_select(columns)}) to '{file}' (format parquet)")
        finally:
            connection.close()
        return file.read_bytes()


def _texts(column: Column) -> list[str | None]:
    """Values as text, which holds a sum of any size; DuckDB reads it as the column's kind."""
    return [None if value is None else str(value) for value in column.values]


def _select(columns: Sequence[Column]) -> str:
    selected = [
        f"{_read(f'c{place}', column.kind)} as {_quoted(column.name)}"
        for place, column in enumerate(columns)
    ]
    return f"select {', '.join(selected)} from given"


def _read(name: str, kind: Kind) -> str:
    return f"make_timestamp({name}::bigint)" if kind == "instant" else f"{name}::{_TYPES[kind]}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""DuckDB's way of saying what engines say differently."""

from collections.abc import Mapping

from tokenwatcher_server.stores.schema import ID_TEXT
from tokenwatcher_server.stores.sql import QUANTILE_DIGITS, Bindings, Dialect


def duckdb_dialect(tag_slots: Mapping[str, int]) -> Dialect:
    """`tag_slots` are the tag keys that have columns of their own."""

    def tag(key: str, bindings: Bindings) -> str:
        slot = tag_slots.get(key)
        return f"tags[{bindings.bind(key)}]" if slot is None else f"tag_{slot}"

    return Dialect(
        tag=tag,
        event_id=ID_TEXT,
        quantile=f"round(quantile_cont({{column}}, {{fraction}}), {QUANTILE_DIGITS})",
        month="(year(make_timestamp({local})) * 12 + month(make_timestamp({local})) - 1)",
    )

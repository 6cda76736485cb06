"""ClickHouse's way of saying what engines say differently."""

import re
from typing import Final

import msgspec

from tokenwatcher_server.stores.clickhouse.values import placeholder
from tokenwatcher_server.stores.sql import EVENTS, QUANTILE_DIGITS, Bindings, Dialect

_SUM: Final = re.compile(r"sum\((\w+)\)")
_INSTANT: Final = "fromUnixTimestamp64Micro(toInt64({local}), 'UTC')"

HELD: Final = msgspec.structs.replace(
    EVENTS,
    # of each event the one row that holds, whatever else lies there; sums that never overflow
    table="events final",
    measures={
        **{name: _SUM.sub(r"sum(toInt128(\1))", text) for name, text in EVENTS.measures.items()},
        "latency_avg": "toFloat64(sum(toInt128(latency_ms))) / nullif(count(latency_ms), 0)",
    },
)


def clickhouse_dialect(prefix: str = "p") -> Dialect:
    """`prefix` begins the names of a statement's values."""
    return Dialect(
        tag=_tag,
        event_id="id",
        quantile=(
            f"round(quantileExactInclusiveOrNull({{fraction}})({{column}}), {QUANTILE_DIGITS})"
        ),
        month=f"(toYear({_INSTANT}) * 12 + toMonth({_INSTANT}) - 1)",
        whole="intDiv({value}, {by})",
        placeholder=placeholder(prefix),
    )


def _tag(key: str, bindings: Bindings) -> str:
    name = bindings.bind(key)
    return f"if(mapContains(tags, {name}), tags[{name}], null)"

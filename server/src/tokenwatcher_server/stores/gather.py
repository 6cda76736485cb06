"""Events as columns, for engines that take or keep them so. `scatter` is the inverse."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tokenwatcher_server.events.event import Cost, PricedEvent
from tokenwatcher_server.stores.rates import fold
from tokenwatcher_server.stores.schema import COST_COLUMNS, EVENT_COLUMNS, TOKEN_COLUMNS

Values = Sequence[Any]
"""A column: one value a row."""


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

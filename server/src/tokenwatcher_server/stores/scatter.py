"""Columns as events again, wherever they were read: the inverse of `gather`."""

from collections.abc import Mapping, Sequence
from typing import Final

from tokenwatcher_server.events.event import Cost, Event, PricedEvent
from tokenwatcher_server.events.tokens import Tokens
from tokenwatcher_server.stores.gather import Values
from tokenwatcher_server.stores.rates import unfold
from tokenwatcher_server.stores.schema import (
    COLUMNS,
    COST_COLUMNS,
    EVENT_COLUMNS,
    PRICE_COLUMNS,
    TOKEN_COLUMNS,
)

EVENT_NAMES: Final = tuple(column.name for column in COLUMNS if column.name != "sequence")
"""The columns of a stored event; its content digest comes beside them."""
REPRICING_NAMES: Final = ("workspace_id", "id", *PRICE_COLUMNS)
_MAPS: Final = ("tags", "metadata", "server_tool_calls")


def scatter(columns: Mapping[str, Values]) -> list[PricedEvent]:
    """Give the events of EVENT_NAMES and `content_digest`, a value a row each."""
    counts = zip(*[columns[name] for name in TOKEN_COLUMNS], strict=True)
    tokens = [Tokens(*each) for each in counts]
    values = {
        **columns,
        **{name: [value or {} for value in columns[name]] for name in _MAPS},
        "tokens": tokens,
    }
    events = (Event(*row) for row in zip(*[values[name] for name in EVENT_COLUMNS], strict=True))
    costs = scatter_costs(columns, tokens)
    return [PricedEvent(event, cost) for event, cost in zip(events, costs, strict=True)]


def scatter_costs(columns: Mapping[str, Values], tokens: Sequence[Tokens]) -> list[Cost]:
    """Give the costs of PRICE_COLUMNS; `tokens` are those they were gathered with."""
    rates = zip(columns["cost_rates"], tokens, strict=True)
    values = {**columns, "buckets": [unfold(text, counts) for text, counts in rates]}
    return [Cost(*row) for row in zip(*[values[name] for name in COST_COLUMNS], strict=True)]

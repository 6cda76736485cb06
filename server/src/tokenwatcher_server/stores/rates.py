"""An event's cost by bucket, folded into a short text of rates.

A bucket's cost is nearly always its tokens times a whole rate, and a model has few rates. Kept
as `2500000,,,,1250000,,,,,10000000` (picodollars a token, in the order of the buckets), the
costs of millions of events are a few texts. A cost that is no whole multiple is written
itself, as `=1234`; a bucket without a cost is empty.
"""

from collections.abc import Sequence

import msgspec

from tokenwatcher_server.events.tokens import BUCKETS, Tokens

Amounts = Sequence[int | None]


def fold(costs: Sequence[Amounts], tokens: Sequence[Amounts]) -> list[str | None]:
    """Give each event's rates. Both are columns, one for every bucket."""
    rows = len(costs[0])
    present = [bucket for bucket, column in enumerate(costs) if column.count(None) < rows]
    if not present:
        return [None] * rows
    parts = [_parts(costs[bucket], tokens[bucket]) for bucket in present]
    texts: dict[tuple[str | int | None, ...], str] = {}
    folded: list[str | None] = []
    for row in zip(*parts, strict=True):
        text = texts.get(row)
        if text is None:
            text = texts[row] = _text(dict(zip(present, row, strict=True)))
        folded.append(text or None)
    return folded


def unfold(text: str | None, tokens: Tokens) -> Tokens:
    """Give the cost by bucket again."""
    if not text:
        return Tokens()
    counts = msgspec.structs.astuple(tokens)
    parts = zip(text.split(","), counts, strict=False)
    return Tokens(*[_cost(part, count) if part else None for part, count in parts])


def _parts(costs: Amounts, tokens: Amounts) -> list[str | int | None]:
    return [
        None if cost is None else cost // count if count and not cost % count else f"={cost}"
        for cost, count in zip(costs, tokens, strict=True)
    ]


def _text(parts: dict[int, str | int | None]) -> str:
    written = [parts.get(bucket) for bucket in range(len(BUCKETS))]
    return ",".join("" if part is None else str(part) for part in written).rstrip(",")


def _cost(part: str, count: int | None) -> int:
    return int(part[1:]) if part.startswith("=") else int(part) * (count or 0)

"""A report as a picture: series, columns, ticks, and where they lie. Pure; drawn by a template.

The plot is WIDTH by HEIGHT units with zero at the bottom left of a y axis that points down, as
SVG has it. The page stretches the width alone, so heights are pixels.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tokenwatcher_server.usage.palette import ModelKey
from tokenwatcher_server.usage.result import Line, Totals

WIDTH = 1000.0
HEIGHT = 208.0
MOST_SERIES = 7
SEAM = 1.0
"""Pixels left free between two segments, so that they can be told apart without colour."""


class Tick(msgspec.Struct, frozen=True):
    y: str
    amount: int


class Series(msgspec.Struct, frozen=True):
    """One model's share of every column; `model` None is all the others together."""

    model: ModelKey | None
    slot: int
    """Its colour: 1 to SLOTS, and 0 for the grey of the others."""
    totals: Totals
    members: int
    path: str


class Column(msgspec.Struct, frozen=True):
    """One bucket: its totals and what each series has in it, in the order of the series."""

    start_us: int
    totals: Totals
    parts: tuple[int | None, ...]


class Chart(msgspec.Struct, frozen=True):
    columns: tuple[Column, ...]
    series: tuple[Series, ...]
    ticks: tuple[Tick, ...]
    """From zero up; the last is the top of the plot."""


def stacked(starts: Sequence[int], lines: Sequence[Line], colours: Mapping[ModelKey, int]) -> Chart:
    """Stack cost by model; `lines` are grouped by provider and model in buckets of `starts`.

    A model that costs nothing has no series, but its calls count in the columns.
    """
    groups = _groups(by_model(lines))
    cells = [_cells(members, starts) for _, members in groups]
    totals = _cells(lines, starts)
    ticks = nice_ticks(max((total.cost or 0 for total in totals), default=0))
    spans = _spans(len(starts))
    paths = _paths([[cell.cost or 0 for cell in row] for row in cells], spans, ticks[-1])
    return Chart(
        columns=tuple(
            Column(start, total, tuple(row[place].cost for row in cells))
            for place, (start, total) in enumerate(zip(starts, totals, strict=True))
        ),
        series=tuple(
            Series(key, colours.get(key, 0) if key else 0, add(row), _models(members), path)
            for (key, members), row, path in zip(groups, cells, paths, strict=True)
        ),
        ticks=tuple(Tick(_text(HEIGHT - HEIGHT * tick / ticks[-1]), tick) for tick in ticks),
    )


def nice_ticks(most: int) -> tuple[int, ...]:
    """Round amounts from 0 to at least `most`, three to five steps apart."""
    if most <= 0:
        return (0, 10**12)
    size = 10 ** (len(str(most)) - 1)
    for tenths in (2, 5, 10, 20, 25, 50, 100):
        step = max(1, size * tenths // 10)
        steps = -(-most // step)
        if steps <= 5:
            return tuple(step * place for place in range(steps + 1))
    raise AssertionError(most)


def add(parts: Sequence[Totals]) -> Totals:
    """The sum of what can be summed: money, tokens and counts."""
    costs = [part.cost for part in parts if part.cost is not None]
    calls, unpriced = sum(part.calls for part in parts), sum(part.unpriced for part in parts)
    return Totals(
        cost=sum(costs) if costs else None,
        input_tokens=sum(part.input_tokens for part in parts),
        cache_read_tokens=sum(part.cache_read_tokens for part in parts),
        total_tokens=sum(part.total_tokens for part in parts),
        calls=calls,
        errors=sum(part.errors for part in parts),
        unpriced=unpriced,
    )


def by_model(lines: Sequence[Line]) -> dict[ModelKey, list[Line]]:
    """Lines that are grouped by provider and model, by their model."""
    found: dict[ModelKey, list[Line]] = {}
    for line in lines:
        provider, model = line.group
        found.setdefault((provider or "", model or ""), []).append(line)
    return found


def _groups(
    models: Mapping[ModelKey, list[Line]],
) -> list[tuple[ModelKey | None, list[Line]]]:
    """The costliest models, each with its lines, and the tail together; a tail of one is none."""
    costs = {model: _cost(lines) for model, lines in models.items()}
    ranked = sorted(
        (model for model, cost in costs.items() if cost), key=lambda model: (-costs[model], model)
    )
    own = MOST_SERIES if len(ranked) <= MOST_SERIES else MOST_SERIES - 1
    groups: list[tuple[ModelKey | None, list[Line]]] = [(key, models[key]) for key in ranked[:own]]
    if tail := ranked[own:]:
        groups.append((None, [line for model in tail for line in models[model]]))
    return groups


def _cost(lines: Sequence[Line]) -> int:
    return sum(line.totals.cost or 0 for line in lines)


def _models(lines: Sequence[Line]) -> int:
    return len({line.group for line in lines})


def _cells(lines: Sequence[Line], starts: Sequence[int]) -> list[Totals]:
    """The totals of one series in each bucket."""
    buckets: dict[int | None, list[Totals]] = {}
    for line in lines:
        buckets.setdefault(line.bucket_us, []).append(line.totals)
    nothing = Totals(cost=0)
    return [add(buckets[start]) if start in buckets else nothing for start in starts]


def _spans(columns: int) -> list[tuple[float, float]]:
    """Where each column begins and how wide it is, with a fifth of its place left free."""
    place = WIDTH / max(1, columns)
    return [(place * number + place * 0.1, place * 0.8) for number in range(columns)]


def _paths(
    rows: Sequence[Sequence[int]], spans: Sequence[tuple[float, float]], top: int
) -> list[str]:
    """One path for each series: a rectangle for each of its segments."""
    base = [HEIGHT] * len(spans)
    paths = []
    for row in rows:
        pieces = []
        for place, (amount, (x, width)) in enumerate(zip(row, spans, strict=True)):
            height = HEIGHT * amount / top
            base[place] -= height
            drawn = height - SEAM if height > 2 * SEAM else height
            if drawn >= 0.05:
                y = base[place] + height - drawn
                pieces.append(
                    f"M{_text(x)} {_text(y)}h{_text(width)}v{_text(drawn)}h-{_text(width)}z"
                )
        paths.append("".join(pieces))
    return paths


def _text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")

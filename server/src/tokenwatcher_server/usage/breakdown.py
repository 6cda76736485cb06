"""Usage by one or two dimensions, and by the same in the time before: who costs what, who moved."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Measure, Scope
from tokenwatcher_server.events.store import EventStore
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.overview import known_models_question, palette_of, time_before
from tokenwatcher_server.usage.palette import ModelKey
from tokenwatcher_server.usage.report import only, report
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.stats import question

MOST_GROUPS = 10_000
Group = tuple[str | None, ...]


class Mover(msgspec.Struct, frozen=True):
    """One group whose cost changed; `difference` is picodollars, negative where it fell."""

    group: Group
    difference: int
    totals: Totals
    before: Totals


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    period: Period
    totals: Totals
    lines: tuple[Line, ...]
    """The costliest first."""
    before: Mapping[Group, Totals]
    before_totals: Totals
    colours: dict[ModelKey, int]


async def breakdown(
    store: EventStore,
    request: UsageRequest,
    scope: Scope,
    now_us: int,
    group_by: tuple[Dimension, ...],
    measures: tuple[Measure, ...],
) -> Breakdown:
    """Each group's measures, of which `cost` is the first, in one round trip."""
    base = replace(question(request, scope, now_us), measures=measures)
    earlier = replace(base, period=time_before(base.period, now_us))
    answers = await report(
        store,
        {
            "totals": base,
            "lines": replace(base, group_by=group_by, limit=MOST_GROUPS),
            "before": replace(earlier, group_by=group_by, limit=MOST_GROUPS),
            "before_totals": earlier,
            "known_models": known_models_question(scope, now_us),
        },
    )
    return Breakdown(
        period=base.period,
        totals=only(answers["totals"]),
        lines=tuple(answers["lines"]),
        before={line.group: line.totals for line in answers["before"]},
        before_totals=only(answers["before_totals"]),
        colours=palette_of(answers["known_models"]),
    )


def movers(found: Breakdown, most: int) -> tuple[Mover, ...]:
    """The groups whose cost changed most, up or down; those that went away among them.

    Where there are more groups than were asked for, one that is missing may just cost little:
    it is then no mover.
    """
    now = {line.group: line.totals for line in found.lines}
    whole = max(len(now), len(found.before)) < MOST_GROUPS
    moved = [
        Mover(group, (later.cost or 0) - (earlier.cost or 0), later, earlier)
        for group in {**now, **found.before}
        if any(part is not None for part in group)
        and (whole or (group in now and group in found.before))
        for later, earlier in [(now.get(group, _NONE), found.before.get(group, _NONE))]
    ]
    changed = [one for one in moved if one.difference]
    return tuple(sorted(changed, key=_largest_first)[:most])


def per_million(totals: Totals) -> int | None:
    """Picodollars that a million tokens really cost, whatever their kind.

    None where some calls have no price: their tokens would make the rest look cheap.
    """
    if totals.cost is None or totals.unpriced or not totals.total_tokens:
        return None
    return totals.cost * 1_000_000 // totals.total_tokens


def most_of(lines: Sequence[Line]) -> int:
    """The largest cost, which bars are drawn against."""
    return max((line.totals.cost or 0 for line in lines), default=0)


def _largest_first(one: Mover) -> tuple[int, str]:
    return -abs(one.difference), repr(one.group)


_NONE = Totals(cost=0)

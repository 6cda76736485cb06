"""The question of the explore page as a form: what to measure, by what, how fine."""

import msgspec

from tokenwatcher_server.events.query import Measure
from tokenwatcher_server.usage.explore import ExploreRequest
from tokenwatcher_server.usage.request import TAG
from tokenwatcher_server.usage.table import INTERVALS, group_name, wire_name
from tokenwatcher_server.web.pages.controls import Choice
from tokenwatcher_server.web.pages.links import EXPLORE, LABELS, Pairs, kept
from tokenwatcher_server.web.pages.measures import DIMENSION_LABELS, MEASURE_LABELS

GROUPS_OFFERED = 2


class Question(msgspec.Struct, frozen=True):
    path: str
    kept: Pairs
    """What the form sends along besides its own fields."""
    filter_kept: Pairs
    """What the form for one more filter sends along."""
    measures: tuple[Choice, ...]
    """The first of them, which is drawn."""
    further: tuple[Choice, ...]
    groups: tuple[tuple[Choice, ...], ...]
    more_groups: Pairs
    """Dimensions that the address has beyond those the form offers."""
    intervals: tuple[Choice, ...]
    filters: tuple[Choice, ...]
    compare: bool


def parameters_for(asked: ExploreRequest) -> Pairs:
    """What the address holds besides the usage request."""
    table = asked.table
    found = [("measures", ",".join(wire_name(measure) for measure in table.measures))]
    found += [("groupBy", group_name(dimension)) for dimension in table.group_by]
    if table.interval is not None:
        found.append(("interval", table.interval))
    if table.order_by is not None:
        found.append(("orderBy", wire_name(table.order_by)))
    if asked.compare:
        found.append(("compare", "before"))
    return tuple(found)


def question_of(
    asked: ExploreRequest, tag_keys: tuple[str, ...], *, several_workspaces: bool
) -> Question:
    table = asked.table
    first, *rest = table.measures
    chosen = [group_name(dimension) for dimension in table.group_by]
    offered = _dimensions(tag_keys, chosen, several_workspaces=several_workspaces)
    usage = kept(table.usage)
    return Question(
        path=EXPLORE,
        kept=usage,
        filter_kept=(*usage, *parameters_for(asked)),
        measures=tuple(
            Choice(name, MEASURE_LABELS[measure], measure == first)
            for name, measure in offered_measures()
        ),
        further=tuple(
            Choice(name, MEASURE_LABELS[measure], measure in rest)
            for name, measure in offered_measures()
            if measure != first
        ),
        groups=tuple(
            _choices(offered, chosen[place] if place < len(chosen) else "")
            for place in range(min(GROUPS_OFFERED, len(chosen) + 1))
        ),
        more_groups=tuple(("groupBy", name) for name in chosen[GROUPS_OFFERED:]),
        intervals=(
            Choice("", "automatic", table.interval is None),
            *(Choice(one, f"by {one}", table.interval == one) for one in INTERVALS),
        ),
        filters=tuple(
            Choice(name, label, chosen=False) for name, label in offered if name in LABELS
        )
        + tuple(Choice(f"{TAG}{key}", f"tag {key}", chosen=False) for key in tag_keys),
        compare=asked.compare,
    )


def offered_measures() -> list[tuple[str, Measure]]:
    """Every measure by its name in an address, in the order that people look for them."""
    return [(wire_name(measure), measure) for measure in MEASURE_LABELS]


def _dimensions(
    tag_keys: tuple[str, ...], chosen: list[str], *, several_workspaces: bool
) -> list[tuple[str, str]]:
    found = {
        name: label
        for name, label in DIMENSION_LABELS.items()
        if name != "workspaceId" or several_workspaces
    }
    found |= {f"{TAG}{key}": f"tag {key}" for key in tag_keys}
    found |= {name: name for name in chosen if name not in found}
    return list(found.items())


def _choices(offered: list[tuple[str, str]], chosen: str) -> tuple[Choice, ...]:
    nothing = Choice("", "nothing", not chosen)
    return (nothing, *(Choice(name, label, name == chosen) for name, label in offered))

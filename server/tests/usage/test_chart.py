"""A chart adds up, fits its plot, and never depends on the order of what it is given."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.kernel.clock import DAY_US
from tokenwatcher_server.usage.chart import HEIGHT, MOST_SERIES, Chart, nice_ticks, stacked
from tokenwatcher_server.usage.palette import SLOTS, colours
from tokenwatcher_server.usage.result import Line, Totals

STARTS = [day * DAY_US for day in range(5)]
models = st.tuples(st.sampled_from(["openai", "anthropic"]), st.sampled_from("abcdefghijkl"))
cells = st.dictionaries(
    st.tuples(st.sampled_from(STARTS), models),
    st.none() | st.integers(0, 10**18),
    max_size=40,
)


def lines_of(found: dict[tuple[int, tuple[str, str]], int | None]) -> list[Line]:
    return [
        Line(start, model, Totals(cost=cost, calls=2, unpriced=2 if cost is None else 0))
        for (start, model), cost in found.items()
    ]


def heights(chart: Chart, column: int) -> float:
    """How high the column is drawn: from the top of its uppermost segment to the ground."""
    x = f"M{(column * 1000 / len(STARTS) + 100 / len(STARTS)):.2f}".rstrip("0").rstrip(".")
    tops = [
        float(piece.split("h")[0].split(" ")[1])
        for series in chart.series
        for piece in series.path.split("z")
        if piece.startswith(f"{x} ")
    ]
    return HEIGHT - min(tops, default=HEIGHT)


@given(st.integers(0, 10**24))
def test_ticks_are_round_reach_the_most_and_are_few(most: int) -> None:
    ticks = nice_ticks(most)
    step = ticks[1]
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert 2 <= len(ticks) <= 6
    assert all(later - earlier == step for earlier, later in pairwise(ticks))
    assert int(str(step).rstrip("0")) in {1, 2, 25, 5}


@given(cells)
def test_the_series_the_columns_and_the_lines_have_the_same_sum(
    found: dict[tuple[int, tuple[str, str]], int | None],
) -> None:
    chart = stacked(STARTS, lines_of(found), {})
    whole = sum(cost or 0 for cost in found.values())
    assert sum(series.totals.cost or 0 for series in chart.series) == whole
    assert sum(column.totals.cost or 0 for column in chart.columns) == whole
    assert sum(column.totals.calls for column in chart.columns) == 2 * len(found)
    assert sum(part or 0 for column in chart.columns for part in column.parts) == whole


@given(cells)
def test_what_is_drawn_stays_in_the_plot(
    found: dict[tuple[int, tuple[str, str]], int | None],
) -> None:
    chart = stacked(STARTS, lines_of(found), {})
    assert len(chart.series) <= MOST_SERIES
    for column in range(len(STARTS)):
        assert 0 <= heights(chart, column) <= HEIGHT + 0.01


@given(cells, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    found: dict[tuple[int, tuple[str, str]], int | None], random: object
) -> None:
    lines = lines_of(found)
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert stacked(STARTS, shuffled, {}) == stacked(STARTS, lines, {})


def test_the_tail_is_one_grey_series_that_says_how_many_it_holds() -> None:
    lines = [Line(0, ("openai", f"m{n}"), Totals(cost=100 - n, calls=1)) for n in range(20)]
    chart = stacked(STARTS, lines, colours([("openai", f"m{n}") for n in range(20)]))
    assert [series.model for series in chart.series][:2] == [("openai", "m0"), ("openai", "m1")]
    tail = chart.series[-1]
    assert (tail.model, tail.slot, tail.members) == (None, 0, 20 - (MOST_SERIES - 1))


def test_a_tail_of_one_has_its_own_series() -> None:
    lines = [Line(0, ("openai", f"m{n}"), Totals(cost=1)) for n in range(MOST_SERIES)]
    assert None not in {series.model for series in stacked(STARTS, lines, {}).series}


def test_a_day_without_events_is_a_column_of_zero() -> None:
    chart = stacked(STARTS, [], {})
    assert [column.totals.cost for column in chart.columns] == [0] * len(STARTS)


@given(st.lists(models, unique=True))
def test_the_eight_costliest_models_never_share_a_colour(ranked: list[tuple[str, str]]) -> None:
    found = colours(ranked)
    first = [found[model] for model in ranked[:SLOTS]]
    assert len(set(first)) == len(first)
    assert all(1 <= slot <= SLOTS for slot in found.values())


@given(st.lists(models, unique=True, min_size=1))
def test_a_newcomer_that_costs_less_changes_nobodys_colour(ranked: list[tuple[str, str]]) -> None:
    before = colours(ranked[:-1])
    assert {model: slot for model, slot in colours(ranked).items() if model in before} == before

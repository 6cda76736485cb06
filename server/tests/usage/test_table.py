"""Any measures by any dimensions: exact, bounded, and inert in a spreadsheet."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tokenwatcher_server.events.query import Dimension, Scope
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.usage.table import Table, parse_table, table
from tokenwatcher_server.web.api.query import csv_text, json_row

Made = Callable[..., Any]
WithStore = Callable[..., Any]
TODAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def asked(address: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (p.partition("=") for p in address.split("&") if p)]


def ask(with_store: WithStore, events: list[Any], address: str, scope: Scope, now_us: int) -> Table:
    request = parse_table(asked(address))
    found: Table = with_store(events, lambda store: table(store, request, scope, now_us))
    return found


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("measures=nothing", "measures"),
        ("groupBy=nothing", "groupBy"),
        ("groupBy=model,provider,userId,status,sessionId", "groupBy"),
        ("interval=week", "interval"),
        ("measures=calls&orderBy=cost", "orderBy"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("format=arrow", "format"),
        ("filter=model:", "model"),
        ("filter=model", "filter"),
        ("filter=colour:red", "filter"),
        ("filter=days:1", "filter"),
        ("filter=:", "filter"),
    ],
)
def test_what_is_wrong_is_named_by_its_parameter(address: str, path: str) -> None:
    with pytest.raises(AppError) as caught:
        parse_table(asked(address))
    assert [issue.path for issue in caught.value.issues] == [path]


def test_a_filter_says_the_same_in_both_ways() -> None:
    assert parse_table(asked("filter=model:a:b&filter=tag.feature:chat")) == parse_table(
        asked("model=a:b&tag.feature=chat")
    )
    assert parse_table(asked("filter=projectId:p&filter=without:userId&filter=")) == parse_table(
        asked("projectId=p&without=userId")
    )


def test_rows_come_by_group_with_exact_money_beside_the_number(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [
        made(TODAY, 10**12 + 1, model="a"),
        made(TODAY, None, model="b"),
        made(TODAY, 2, model="a"),
    ]
    found = ask(with_store, events, "measures=cost,calls&groupBy=model", scope, now_us)
    assert [json_row(found.request, line) for line in found.lines] == [
        {"model": "a", "cost": 1.000000000003, "costExact": "1.000000000003", "calls": 2},
        {"model": "b", "cost": None, "costExact": None, "calls": 1},
    ]


def test_days_without_events_are_zeros_where_nothing_else_splits_the_rows(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    found = ask(with_store, [made(TODAY, 3)], "interval=day&days=3", scope, now_us)
    rows = [json_row(found.request, line) for line in found.lines]
    assert [(row["bucket"], row["costExact"]) for row in rows] == [
        ("2026-11-21T00:00:00.000000Z", "0"),
        ("2026-11-22T00:00:00.000000Z", "0"),
        ("2026-11-23T00:00:00.000000Z", "0.000000000003"),
    ]


def test_more_rows_than_the_limit_are_cut_and_said_to_be(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [made(TODAY, n, model=f"m{n}") for n in range(5)]
    found = ask(with_store, events, "groupBy=model&limit=3", scope, now_us)
    assert ([line.group for line in found.lines], found.truncated) == (
        [("m4",), ("m3",), ("m2",)],
        True,
    )
    assert not ask(with_store, [], "groupBy=model&limit=5", scope, now_us).truncated


def test_the_largest_may_come_by_another_measure(
    with_store: WithStore, made: Made, scope: Scope, now_us: int
) -> None:
    events = [made(TODAY, 9, model="dear"), *(made(TODAY, 1, model="often") for _ in range(3))]
    address = "measures=cost,calls&groupBy=model&orderBy=calls"
    found = ask(with_store, events, address, scope, now_us)
    assert [line.group for line in found.lines] == [("often",), ("dear",)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_name_is_a_formula_in_a_spreadsheet(
    with_store: WithStore, made: Made, scope: Scope, now_us: int, start: str
) -> None:
    hostile = f"{start}cmd()|'/c calc'!A1"
    found = ask(
        with_store, [made(TODAY, 5, model=hostile)], "groupBy=model&measures=cost", scope, now_us
    )
    header, row = csv.reader(io.StringIO(csv_text(found), newline=""))
    assert header == ["model", "cost"]
    assert row == [f"'{hostile}", "0.000000000005"]


def test_a_tag_key_names_its_column() -> None:
    request = parse_table(asked("groupBy=tag.feature,projectId"))
    assert request.group_by == (Dimension("tag", "feature"), Dimension("project"))

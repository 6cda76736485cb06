"""An address says exactly one thing, says it back, and names what is wrong with it."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenwatcher_server.events.query import Dimension, Filter
from tokenwatcher_server.kernel.clock import DAY_US, to_us
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.usage.request import (
    FIELDS,
    Between,
    LastDays,
    UsageRequest,
    canonical,
    dimension_of,
    name_of,
    parameters_of,
    parse,
    with_filter,
)

NOW = to_us(datetime(2026, 11, 23, 17, 41, 8, tzinfo=UTC))
MODEL = Dimension("model")
FEATURE = Dimension("tag", "feature")

words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=30)
dimensions = st.one_of(
    st.sampled_from([Dimension(field) for _, field in FIELDS]),
    words.map(lambda key: Dimension("tag", key)),
)
filters = st.builds(
    lambda dimension, values, absent: Filter(dimension, (*values, *((None,) if absent else ()))),
    dimensions,
    st.lists(words, min_size=1, max_size=4),
    st.booleans(),
)
dates = st.dates(date(2020, 1, 1), date(2023, 12, 31))
windows = st.one_of(
    st.integers(1, 365).map(LastDays),
    st.builds(Between, dates, st.none()),
    st.builds(
        lambda start, days: Between(start, date.fromordinal(start.toordinal() + days)),
        dates,
        st.integers(0, 900),
    ),
    st.builds(
        lambda start, length: Between(start, start + length),
        st.integers(NOW - 900 * DAY_US, NOW),
        st.integers(1, 90 * DAY_US),
    ),
)
requests = st.builds(
    lambda chosen, **fields: UsageRequest(
        filters=canonical({wanted.dimension: wanted for wanted in chosen}.values()), **fields
    ),
    st.lists(filters, max_size=4),
    window=windows,
    zone=st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")]),
    workspace_id=st.none() | words,
    project_id=st.none() | words,
    tag_key=st.none() | words,
)


def issues_of(*parameters: tuple[str, str]) -> list[str]:
    with pytest.raises(AppError) as caught:
        parse(parameters).period(NOW)
    return [issue.path for issue in caught.value.issues]


@given(requests)
def test_an_address_gives_back_the_request_it_was_made_from(request: UsageRequest) -> None:
    assert parse(parameters_of(request)) == request


@given(st.lists(st.tuples(words, st.text(max_size=40)), max_size=6))
def test_any_address_is_read_or_refused_with_the_name_of_what_is_wrong(
    parameters: list[tuple[str, str]],
) -> None:
    refused = None
    try:
        parse(parameters)
    except AppError as error:
        refused = error
    assert refused is None or refused.issues


@given(dimensions)
def test_a_dimension_has_one_name(dimension: Dimension) -> None:
    assert dimension_of(name_of(dimension)) == dimension


def test_nothing_given_means_the_last_thirty_days() -> None:
    request = parse([])
    assert request == UsageRequest()
    assert request.period(NOW) == Period(
        to_us(datetime(2026, 10, 25, tzinfo=UTC)), to_us(datetime(2026, 11, 24, tzinfo=UTC))
    )


def test_the_last_day_of_a_span_of_dates_is_included() -> None:
    period = parse([("from", "2026-05-01"), ("to", "2026-05-01")]).period(NOW)
    assert period.length_us == DAY_US


def test_days_begin_where_the_zone_says() -> None:
    period = parse([("from", "2026-05-01"), ("to", "2026-05-01"), ("tz", "Europe/Berlin")]).period(
        NOW
    )
    assert period.start_us == to_us(datetime(2026, 4, 30, 22, tzinfo=UTC))


def test_a_day_of_the_clock_change_has_twenty_three_hours() -> None:
    period = parse([("from", "2026-03-29"), ("to", "2026-03-29"), ("tz", "Europe/Berlin")]).period(
        NOW
    )
    assert period.length_us == DAY_US // 24 * 23


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ([("days", "0")], "days"),
        ([("days", "366")], "days"),
        ([("days", "-1")], "days"),
        ([("days", "1e2")], "days"),
        ([("days", "³")], "days"),
        ([("days", "9" * 5000)], "days"),
        ([("days", "7"), ("days", "30")], "days"),
        ([("from", "yesterday")], "from"),
        ([("from", "2026-02-30")], "from"),
        ([("from", "0001-01-01T00:00Z")], "from"),
        ([("from", "2027-01-01")], "from"),
        ([("from", "2001-01-01")], "from"),
        ([("to", "2026-05-01")], "from"),
        ([("from", "2026-05-02"), ("to", "2026-05-01")], "to"),
        ([("from", "1990-01-01"), ("to", "2026-05-01")], "to"),
        ([("from", "2026-05-01"), ("days", "3")], "days"),
        ([("tz", "Mars/Olympus")], "tz"),
        ([("tz", "../../etc/passwd")], "tz"),
        ([("tz", "Europe")], "tz"),
        ([("tz", "\0")], "tz"),
        ([("model", "")], "model"),
        ([("model", "a\0b")], "model"),
        ([("model", "m" * 301)], "model"),
        ([("model", str(n)) for n in range(51)], "model"),
        ([("without", "nothing-we-know")], "without"),
        ([("tag.", "x")], "tag."),
        ([("tag." + "k" * 61, "x")], "tag."),
        ([("tagKey", "k" * 61)], "tagKey"),
    ],
)
def test_what_is_wrong_is_named_by_its_parameter(
    parameters: list[tuple[str, str]], path: str
) -> None:
    assert path in issues_of(*parameters)


def test_everything_wrong_is_named_at_once() -> None:
    assert issues_of(("days", "x"), ("tz", "x"), ("model", "")) == ["tz", "days", "model"]


def test_a_form_that_sends_empty_fields_asks_for_the_default() -> None:
    empty = [(name, "") for name in ("days", "from", "to", "tz", "workspaceId", "projectId")]
    assert parse(empty) == UsageRequest()


def test_a_tag_value_may_be_empty_text_which_is_not_the_same_as_none() -> None:
    assert parse([("tag.feature", "")]).filters == (Filter(FEATURE, ("",)),)
    assert parse([("without", "tag.feature")]).filters == (Filter(FEATURE, (None,)),)


def test_a_filter_replaces_the_one_on_the_same_dimension_and_no_value_removes_it() -> None:
    request = parse([("model", "a"), ("tag.feature", "chat")])
    changed = with_filter(request, MODEL, ["b"])
    assert changed.filters == (Filter(MODEL, ("b",)), Filter(FEATURE, ("chat",)))
    assert with_filter(changed, MODEL, []).filters == (Filter(FEATURE, ("chat",)),)

"""URL parameters to a typed request and back: the address holds the whole state of a page.

`days=30`, or `from` and `to`: a date is a whole day of `tz` (the last one included), an instant
is exact and `to` is then not included. A filter is a dimension's name with a value, repeated for
"any of these": `provider=openai`, `model=a&model=b`, `tag.feature=chat`; `without=tag.feature`
also takes the events that have none.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from tokenwatcher_server.events.query import Dimension, Field, Filter
from tokenwatcher_server.kernel.clock import DAY_US, iso, to_us
from tokenwatcher_server.kernel.errors import AppError, Issue, invalid
from tokenwatcher_server.kernel.ids import ProjectId, WorkspaceId
from tokenwatcher_server.kernel.period import UTC_ZONE, Period, day_of, day_start, last_days
from tokenwatcher_server.usage.parameters import MAX_VALUES, Parameters, Reader

Id = TypeVar("Id")

DEFAULT_DAYS = 30
MAX_DAYS = 365
LONGEST_DAYS = 3_700  # ten years and a bit: as far back as an event may be dated
MAX_TAG_KEY = 60
TAG = "tag."
FIELDS: tuple[tuple[str, Field], ...] = (
    ("provider", "provider"),
    ("model", "model"),
    ("requestedModel", "requested_model"),
    ("serviceTier", "service_tier"),
    ("status", "status"),
    ("eventType", "event_type"),
    ("usageQuality", "usage_quality"),
    ("userId", "user"),
    ("endUserId", "end_user"),
    ("sessionId", "session"),
    ("errorType", "error_type"),
    ("priceId", "price_id"),
    ("environment", "environment"),
)
"""The name of each field in an address. Workspace and project are a scope, not a filter."""

_DATE = re.compile(r"(?:19[7-9]\d|2[01]\d\d)-\d\d-\d\d\Z", re.ASCII)
_INSTANT = re.compile(r"(?:19[7-9]\d|2[01]\d\d)-\d\d-\d\d[Tt ]\d\d:\d\d", re.ASCII)


class LastDays(msgspec.Struct, frozen=True, tag="last"):
    """Whole days, today the last of them."""

    count: int = DEFAULT_DAYS


class Between(msgspec.Struct, frozen=True, tag="between"):
    """From a day or an instant (microseconds), to a day (included), an instant, or today."""

    start: date | int
    end: date | int | None = None


class UsageRequest(msgspec.Struct, frozen=True, kw_only=True):
    window: LastDays | Between = LastDays()
    zone: ZoneInfo = UTC_ZONE
    workspace_id: WorkspaceId | None = None
    project_id: ProjectId | None = None
    filters: tuple[Filter, ...] = ()
    tag_key: str | None = None

    def period(self, now_us: int) -> Period:
        """The stretch of time that is meant now; raises AppError where it is empty."""
        if isinstance(self.window, LastDays):
            return last_days(self.window.count, now_us, self.zone)
        return _between(self.window, self.zone, now_us)


def parse(parameters: Parameters) -> UsageRequest:
    """Read an address; unknown names are left to others. Raises AppError naming what is wrong."""
    reader = Reader(parameters)
    request = parse_with(reader)
    reader.finish()
    return request


def parse_with(reader: Reader) -> UsageRequest:
    """Read the part of an address that says what usage is meant, among other parameters."""
    zone = reader.zone("tz")
    return UsageRequest(
        window=_window(reader, zone),
        zone=zone,
        workspace_id=_optional_id(WorkspaceId, reader.one("workspaceId", 100)),
        project_id=_optional_id(ProjectId, reader.one("projectId", 100)),
        filters=_filters(reader),
        tag_key=reader.one("tagKey", MAX_TAG_KEY),
    )


def parameters_of(request: UsageRequest) -> list[tuple[str, str]]:
    """The address of a request, without what is default; `parse` gives the same request back."""
    found: list[tuple[str, str]] = list(_window_parameters(request.window))
    if request.zone is not UTC_ZONE:
        found.append(("tz", request.zone.key))
    if request.workspace_id is not None:
        found.append(("workspaceId", request.workspace_id))
    if request.project_id is not None:
        found.append(("projectId", request.project_id))
    for wanted in request.filters:
        found += _filter_parameters(wanted)
    if request.tag_key is not None:
        found.append(("tagKey", request.tag_key))
    return found


def with_filter(
    request: UsageRequest, dimension: Dimension, values: Iterable[str | None]
) -> UsageRequest:
    """The same request where this dimension has one of these values; none removes the filter."""
    kept = [known for known in request.filters if known.dimension != dimension]
    chosen = tuple(dict.fromkeys(values))
    if chosen:
        kept.append(Filter(dimension, chosen))
    return msgspec.structs.replace(request, filters=canonical(kept))


def canonical(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """Filters in one order, so that equal questions are equal values and equal addresses."""
    order = {field: place for place, (_, field) in enumerate(FIELDS)}

    def key(wanted: Filter) -> tuple[int, str]:
        field = wanted.dimension.field
        return (len(FIELDS) if field == "tag" else order[field], wanted.dimension.tag_key or "")

    return tuple(sorted((_canonical_values(wanted) for wanted in filters), key=key))


def dimension_of(name: str) -> Dimension | None:
    """The dimension that an address calls by this name: `model`, `tag.feature`."""
    if name.startswith(TAG):
        key = name.removeprefix(TAG)
        return Dimension("tag", key) if 0 < len(key) <= MAX_TAG_KEY and "\0" not in key else None
    field = dict(FIELDS).get(name)
    return None if field is None else Dimension(field)


def name_of(dimension: Dimension) -> str:
    """What an address calls this dimension; the inverse of `dimension_of`."""
    if dimension.field == "tag":
        return f"{TAG}{dimension.tag_key}"
    return next((name for name, field in FIELDS if field == dimension.field), str(dimension.field))


def _window(reader: Reader, zone: ZoneInfo) -> LastDays | Between:
    start_text, end_text = reader.one("from", 40), reader.one("to", 40)
    if start_text is None:
        if end_text is not None:
            reader.wrong("from", "is needed where a last day (to) is given")
        return LastDays(reader.whole("days", 1, MAX_DAYS, DEFAULT_DAYS))
    if reader.one("days") is not None:
        reader.wrong("days", "can't be given together with from")
    start, end = _bound(reader, "from", start_text, zone), None
    if end_text is not None:
        end = _bound(reader, "to", end_text, zone)
        if start is not None and end is not None:
            _check_order(reader, start, end, zone)
    return LastDays() if start is None else Between(start, end)


def _bound(reader: Reader, name: str, text: str, zone: ZoneInfo) -> date | int | None:
    try:
        if _DATE.match(text):
            return date.fromisoformat(text)
        if _INSTANT.match(text):
            instant = datetime.fromisoformat(text)
            return to_us(instant if instant.tzinfo else instant.replace(tzinfo=zone))
    except ValueError:
        pass
    reader.wrong(name, "must be a date such as 2026-05-01 or an instant in ISO 8601")
    return None


def _check_order(reader: Reader, start: date | int, end: date | int, zone: ZoneInfo) -> None:
    start_us, end_us = _start_us(start, zone), _end_us(end, zone)
    if end_us <= start_us:
        reader.wrong("to", "must come after from")
    elif end_us - start_us > (LONGEST_DAYS + 1) * DAY_US:
        reader.wrong("to", f"may be at most {LONGEST_DAYS} days after from")


def _start_us(bound: date | int, zone: ZoneInfo) -> int:
    return bound if isinstance(bound, int) else day_start(bound, zone)


def _end_us(bound: date | int, zone: ZoneInfo) -> int:
    return bound if isinstance(bound, int) else day_start(bound + timedelta(days=1), zone)


def _between(window: Between, zone: ZoneInfo, now_us: int) -> Period:
    start_us = _start_us(window.start, zone)
    end_us = _end_us(day_of(now_us, zone) if window.end is None else window.end, zone)
    if end_us <= start_us:
        raise _bad_start("lies in the future")
    if end_us - start_us > (LONGEST_DAYS + 1) * DAY_US:
        raise _bad_start(f"may lie at most {LONGEST_DAYS} days back")
    return Period(start_us, end_us)


def _bad_start(message: str) -> AppError:
    return invalid(f"from {message}.", Issue("from", message))


def _filters(reader: Reader) -> tuple[Filter, ...]:
    chosen: dict[Dimension, list[str | None]] = {}
    for name in dict.fromkeys(name for name, _ in reader.parameters):
        dimension = dimension_of(name)
        if dimension is not None:
            chosen[dimension] = _values(reader, name, dimension)
        elif name.startswith(TAG):  # not to be taken for a parameter that is none of ours
            reader.wrong(TAG, f"needs a tag's key of 1 to {MAX_TAG_KEY} characters after the dot")
    for name in reader.all("without"):
        dimension = dimension_of(name)
        if dimension is None:
            reader.wrong("without", "must name a dimension, such as userId or tag.feature")
        else:
            chosen.setdefault(dimension, []).append(None)
    if len(chosen) > MAX_VALUES:
        reader.wrong("filter", f"may have at most {MAX_VALUES} dimensions")
    return canonical(Filter(dimension, tuple(values)) for dimension, values in chosen.items())


def _values(reader: Reader, name: str, dimension: Dimension) -> list[str | None]:
    values: list[str | None] = list(reader.all(name))
    if dimension.field != "tag" and "" in values:  # only a tag's value can be empty text
        reader.wrong(name, "may not be empty")
    return values


def _canonical_values(wanted: Filter) -> Filter:
    present = sorted({value for value in wanted.values if value is not None})
    absent = (None,) if None in wanted.values else ()
    return Filter(wanted.dimension, (*present, *absent))


def _window_parameters(window: LastDays | Between) -> Iterable[tuple[str, str]]:
    if isinstance(window, LastDays):
        if window.count != DEFAULT_DAYS:
            yield "days", str(window.count)
        return
    yield "from", _bound_text(window.start)
    if window.end is not None:
        yield "to", _bound_text(window.end)


def _bound_text(bound: date | int) -> str:
    return iso(bound) if isinstance(bound, int) else bound.isoformat()


def _filter_parameters(wanted: Filter) -> Iterable[tuple[str, str]]:
    name = name_of(wanted.dimension)
    for value in wanted.values:
        yield ("without", name) if value is None else (name, value)


def _optional_id(kind: Callable[[str], Id], text: str | None) -> Id | None:
    return None if text is None else kind(text)

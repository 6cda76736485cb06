"""What the questions of the API may be asked with, for its description.

Their handlers read the address themselves, as an address may hold any filter any number of times.
"""

from typing import Any, Final

from tokenwatcher_server.usage.request import FIELDS, MAX_DAYS
from tokenwatcher_server.usage.table import FORMATS, INTERVALS, MEASURES, MOST_ROWS

Schema = dict[str, Any]
_TEXT: Final[Schema] = {"type": "string", "maxLength": 300}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT, "maxItems": 50}
_NAMES: Final = ("projectId", "workspaceId")


def _parameter(name: str, description: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _whole(least: int, most: int, default: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


_PERIOD: Final = (
    _parameter("days", "Whole days, today the last of them", _whole(1, MAX_DAYS, 30)),
    _parameter("from", "First day (2026-05-01) or instant, in place of `days`", _TEXT),
    _parameter("to", "Last day, which is included, or instant, which is not", _TEXT),
    _parameter("tz", "Time zone whose days are meant, such as Europe/Berlin", _TEXT),
)
_SCOPE: Final = tuple(_parameter(name, "Only of this one", _TEXT) for name in _NAMES)
_FILTERS: Final = (
    *(_parameter(name, "Only with one of these values", _TEXTS) for name, _ in FIELDS),
    _parameter("without", "Also events that lack this, such as `userId` or `tag.feature`", _TEXTS),
)
_PAGED: Final = (
    _parameter("limit", "Most to give at once", _whole(1, 500, 50)),
    _parameter("cursor", "`nextCursor` of the page before", _TEXT),
)
_USAGE: Final = (*_PERIOD, *_SCOPE, *_FILTERS)

QUESTIONS: Final = {
    "/api/stats": (*_USAGE, _parameter("tagKey", "The tag of `tagBreakdown`", _TEXT)),
    "/api/events": (*_USAGE, *_PAGED),
    "/api/query": (
        _parameter("measures", f"Any of {', '.join(MEASURES)}; commas between them", _TEXT),
        _parameter("groupBy", "Up to four dimensions: `model`, `tag.feature`, `projectId`", _TEXT),
        _parameter("interval", "Rows for each of these", {"enum": list(INTERVALS)}),
        _parameter("orderBy", "The measure that puts rows in order, largest first", _TEXT),
        _parameter("limit", "Most rows to give", _whole(1, MOST_ROWS, 1000)),
        _parameter("format", "The form of the answer", {"enum": list(FORMATS)}),
        _parameter("filter", "`NAME:VALUE`, the same as `NAME=VALUE`", _TEXTS),
        *_USAGE,
    ),
    "/api/audit-log": (
        *_PERIOD,
        _parameter("workspaceId", "Only of this one", _TEXT),
        _parameter("action", "Only this kind of change", _TEXT),
        _parameter("objectKind", "Only changes of this kind of thing", _TEXT),
        _parameter("objectId", "Only changes of this very thing", _TEXT),
        _parameter("actor", "Only what this one did, by name", _TEXT),
        *_PAGED,
    ),
}
"""The parameters of each path, as OpenAPI has them. `tag.KEY=VALUE` filters by a tag besides."""

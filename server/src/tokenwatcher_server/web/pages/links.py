"""Addresses: every link of a page is a request, changed in one thing."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

from tokenwatcher_server.events.query import Dimension, Filter
from tokenwatcher_server.usage.request import (
    LastDays,
    UsageRequest,
    name_of,
    parameters_of,
    with_filter,
)

Pairs = tuple[tuple[str, str], ...]
OVERVIEW = "/"
EXPLORE = "/explore"
USERS = "/users"
MODELS = "/models"
KEYS = "/keys"
PRICES = "/prices"
SETTINGS_PAGE = "/settings"
REFERENCE = "/docs"
SECURITY = "/settings/security"
START = "/start"
PROJECTS = "/projects"
MEMBERS = "/members"
ACCOUNT = "/account"
AUDIT_LOG = "/audit-log"
ALERTS = "/alerts"
EVENTS = "/events"
PERIODS = ((1, "Today"), (7, "7 d"), (30, "30 d"), (90, "90 d"))


class Link(msgspec.Struct, frozen=True):
    label: str
    href: str
    current: bool = False


class Chip(msgspec.Struct, frozen=True):
    """One filter in words, and the address without it."""

    name: str
    values: str
    href: str


def address(path: str, request: UsageRequest, extra: Iterable[tuple[str, str]] = ()) -> str:
    query = urlencode([*parameters_of(request), *extra], quote_via=quote)
    return f"{path}?{query}" if query else path


def event_address(event_id: str) -> str:
    return f"{EVENTS}/{quote(event_id, safe='')}"


def where(path: str, request: UsageRequest, *wanted: tuple[Dimension, str | None]) -> str:
    """The address where these dimensions have these values (None: have none)."""
    for dimension, value in wanted:
        request = with_filter(request, dimension, [value])
    return address(path, request)


def period_links(path: str, request: UsageRequest, extra: Pairs = ()) -> tuple[Link, ...]:
    return tuple(
        Link(
            label,
            address(path, replace(request, window=LastDays(days)), extra),
            request.window == LastDays(days),
        )
        for days, label in PERIODS
    )


def chips(path: str, request: UsageRequest, extra: Pairs = ()) -> tuple[Chip, ...]:
    return tuple(
        Chip(
            name=wanted.dimension.tag_key or LABELS[name_of(wanted.dimension)],
            values=_values(wanted),
            href=address(path, with_filter(request, wanted.dimension, ()), extra),
        )
        for wanted in request.filters
    )


def kept(request: UsageRequest, *without: str) -> tuple[tuple[str, str], ...]:
    """What a form must send along so that the rest of the address stays as it is."""
    return tuple(pair for pair in parameters_of(request) if pair[0] not in without)


def _values(wanted: Filter) -> str:
    return " or ".join("none" if value is None else value or "(empty)" for value in wanted.values)


LABELS = {
    "provider": "provider",
    "model": "model",
    "requestedModel": "requested model",
    "serviceTier": "service tier",
    "status": "status",
    "eventType": "type",
    "usageQuality": "count quality",
    "userId": "user",
    "endUserId": "end user",
    "sessionId": "session",
    "errorType": "error",
    "priceId": "price",
    "environment": "environment",
}
"""What people call the fields that an address may filter by."""

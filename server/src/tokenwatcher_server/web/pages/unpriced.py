"""What to do about calls that have no price: a designed state, not a missing number."""

import shlex

import msgspec

from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.usage.overview import Overview
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.result import ModelUsage
from tokenwatcher_server.web.pages.links import EVENTS, where

NAMED = 3


class UnpricedModel(msgspec.Struct, frozen=True):
    provider: str
    model: str
    calls: int


class UnpricedNote(msgspec.Struct, frozen=True):
    calls: int
    models: tuple[UnpricedModel, ...]
    """Those with the most calls; `more` others have some too."""
    more: int
    href: str
    """The list of these events."""
    command: str
    """What gives the first of them a price."""


def unpriced_note(request: UsageRequest, shown: Overview) -> UnpricedNote | None:
    """None where every call has a price."""
    found = sorted(
        (usage for usage in shown.models if usage.totals.unpriced),
        key=lambda usage: -usage.totals.unpriced,
    )
    if not found:
        return None
    return UnpricedNote(
        calls=shown.totals.unpriced,
        models=tuple(
            UnpricedModel(usage.provider, usage.model, usage.totals.unpriced)
            for usage in found[:NAMED]
        ),
        more=max(0, len(found) - NAMED),
        href=where(
            EVENTS, request, (Dimension("price_id"), None), (Dimension("event_type"), "usage")
        ),
        command=_command(found[0]),
    )


def _command(usage: ModelUsage) -> str:
    names = f"{shlex.quote(usage.provider)} {shlex.quote(usage.model)}"
    return f"tokenwatcher prices set {names} --input 0.50 --output 1.50"

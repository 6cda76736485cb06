"""The tables of the overview: by model and by a tag, each row with where it leads."""

from typing import TypeVar

import msgspec

from tokenwatcher_server.events.query import Dimension
from tokenwatcher_server.usage.breakdown import per_million
from tokenwatcher_server.usage.chart import add
from tokenwatcher_server.usage.overview import Overview
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.usage.result import ModelUsage, TagUsage, Totals
from tokenwatcher_server.usage.text import change, share
from tokenwatcher_server.web.pages.links import OVERVIEW, where

Usage = TypeVar("Usage")
FIRST_ROWS = 8
BAR = 84


class ModelRow(msgspec.Struct, frozen=True):
    name: str
    provider: str
    slot: int
    href: str | None
    totals: Totals
    share: str
    bar: str
    """The width of its bar, in units of which the longest has BAR."""
    per_million: int | None
    """Picodollars that a million tokens really cost, whatever their kind."""
    cache_hits: str


class TagRow(msgspec.Struct, frozen=True):
    name: str
    absent: bool
    """True for the events without the tag, and for the tail of many values."""
    href: str | None
    totals: Totals
    bar: str
    change: int | None


def model_rows(request: UsageRequest, shown: Overview, *, every: bool) -> tuple[ModelRow, ...]:
    models = list(shown.models)
    whole = shown.totals.cost
    most = max((usage.totals.cost or 0 for usage in models), default=0)
    head, tail = _split(models, every=every)
    rows = [_model_row(request, shown, usage, whole, most) for usage in head]
    if tail:
        rows.append(_other_models([usage.totals for usage in tail], whole, most))
    return tuple(rows)


def tag_rows(request: UsageRequest, shown: Overview, *, every: bool) -> tuple[TagRow, ...]:
    tags = list(shown.tags)
    most = max((usage.totals.cost or 0 for usage in tags), default=0)
    head, tail = _split(tags, every=every)
    rows = [_tag_row(request, shown, usage, most) for usage in head]
    if tail:
        totals = add([usage.totals for usage in tail])
        rows.append(
            TagRow(
                name=f"other ({len(tail)})",
                absent=True,
                href=None,
                totals=totals,
                bar=_bar(totals.cost, most),
                change=None,
            )
        )
    return tuple(rows)


def _split(rows: list[Usage], *, every: bool) -> tuple[list[Usage], list[Usage]]:
    if every or len(rows) <= FIRST_ROWS + 1:  # a tail of one is no shorter than its row
        return rows, []
    return rows[:FIRST_ROWS], rows[FIRST_ROWS:]


def _model_row(
    request: UsageRequest, shown: Overview, usage: ModelUsage, whole: int | None, most: int
) -> ModelRow:
    totals = usage.totals
    return ModelRow(
        name=usage.model,
        provider=usage.provider,
        slot=shown.colours.get((usage.provider, usage.model), 0),
        href=where(
            OVERVIEW,
            request,
            (Dimension("provider"), usage.provider),
            (Dimension("model"), usage.model),
        ),
        totals=totals,
        share=share(totals.cost, whole),
        bar=_bar(totals.cost, most),
        per_million=per_million(totals),
        cache_hits=share(totals.cache_read_tokens or None, totals.input_tokens),
    )


def _other_models(tail: list[Totals], whole: int | None, most: int) -> ModelRow:
    totals = add(tail)
    return ModelRow(
        name=f"other ({len(tail)})",
        provider="",
        slot=0,
        href=None,
        totals=totals,
        share=share(totals.cost, whole),
        bar=_bar(totals.cost, most),
        per_million=per_million(totals),
        cache_hits="—",
    )


def _tag_row(request: UsageRequest, shown: Overview, usage: TagUsage, most: int) -> TagRow:
    before = shown.before_tags.get(usage.value)
    return TagRow(
        name="(no tag)" if usage.value is None else usage.value or "(empty)",
        absent=not usage.value,
        href=where(OVERVIEW, request, (Dimension("tag", request.tag_key), usage.value)),
        totals=usage.totals,
        bar=_bar(usage.totals.cost, most),
        change=change(usage.totals.cost, None if before is None else before.cost),
    )


def _bar(cost: int | None, most: int) -> str:
    return f"{BAR * (cost or 0) / most:.1f}" if most else "0"

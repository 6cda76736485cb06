"""The head of a page about usage: which period, which project, which filters."""

from datetime import date

import msgspec

from tokenwatcher_server.kernel.period import Period, day_of
from tokenwatcher_server.usage.request import Between, LastDays, UsageRequest
from tokenwatcher_server.web.pages.links import (
    PERIODS,
    Chip,
    Link,
    Pairs,
    address,
    chips,
    kept,
    period_links,
)


class Choice(msgspec.Struct, frozen=True):
    """One entry of a picker; `value` is what the address holds, empty for all."""

    value: str
    label: str
    chosen: bool


class Picker(msgspec.Struct, frozen=True):
    """A form with one select: it keeps the rest of the address as it is."""

    name: str
    label: str
    choices: tuple[Choice, ...]
    kept: Pairs
    path: str


class Controls(msgspec.Struct, frozen=True):
    path: str
    periods: tuple[Link, ...]
    custom: bool
    """True where the period is none of `periods`."""
    first: date
    last: date
    kept: Pairs
    """What the form for another period sends along."""
    pickers: tuple[Picker, ...]
    chips: tuple[Chip, ...]
    without_filters: str


def controls(
    path: str,
    request: UsageRequest,
    period: Period,
    pickers: tuple[Picker, ...],
    extra: Pairs = (),
) -> Controls:
    """`extra` is what the page's addresses hold besides the request; links keep it."""
    offered = {LastDays(days) for days, _ in PERIODS}
    return Controls(
        path=path,
        periods=period_links(path, request, extra),
        custom=isinstance(request.window, Between) or request.window not in offered,
        first=day_of(period.start_us, request.zone),
        last=day_of(period.end_us - 1, request.zone),
        kept=(*kept(request, "days", "from", "to"), *extra),
        pickers=pickers,
        chips=chips(path, request, extra),
        without_filters=address(path, msgspec.structs.replace(request, filters=()), extra),
    )


def scope_pickers(
    path: str,
    request: UsageRequest,
    workspaces: tuple[tuple[str, str], ...],
    projects: tuple[tuple[str, str], ...],
    extra: Pairs = (),
) -> tuple[Picker, ...]:
    """Pickers of workspace and project, from (id, name); none where there is nothing to pick."""
    found = []
    if len(workspaces) > 1:
        kept_pairs = (*kept(request, "workspaceId", "projectId"), *extra)
        found.append(_picker(path, request, "workspaceId", "Workspace", workspaces, kept_pairs))
    if len(projects) > 1:
        kept_pairs = (*kept(request, "projectId"), *extra)
        found.append(_picker(path, request, "projectId", "Project", projects, kept_pairs))
    return tuple(found)


def _picker(
    path: str,
    request: UsageRequest,
    name: str,
    label: str,
    entries: tuple[tuple[str, str], ...],
    kept_pairs: Pairs,
) -> Picker:
    chosen = request.workspace_id if name == "workspaceId" else request.project_id
    everything = Choice("", f"All {label.lower()}s", chosen is None)
    return Picker(
        name=name,
        label=label,
        choices=(everything, *(Choice(key, text, key == chosen) for key, text in entries)),
        kept=kept_pairs,
        path=path,
    )


def tag_picker(path: str, request: UsageRequest, keys: tuple[str, ...]) -> Picker:
    """A picker of the tag key that a breakdown is made by."""
    known = keys if request.tag_key in keys or request.tag_key is None else (request.tag_key, *keys)
    return Picker(
        name="tagKey",
        label="Tag",
        choices=tuple(Choice(key, key, key == request.tag_key) for key in known),
        kept=kept(request, "tagKey"),
        path=path,
    )

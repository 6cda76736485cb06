"""`/users`: what each user costs, and whose cost moved most."""

import msgspec
from litestar import Response, get

from tokenwatcher_server.events.query import Dimension, Measure
from tokenwatcher_server.usage.breakdown import Breakdown, Mover, breakdown, most_of, movers
from tokenwatcher_server.usage.parameters import Reader
from tokenwatcher_server.usage.request import UsageRequest, parse_with
from tokenwatcher_server.usage.result import Line, Totals
from tokenwatcher_server.usage.sentence import lede
from tokenwatcher_server.usage.text import change, share
from tokenwatcher_server.web.pages.answer import answer_page, moment_of
from tokenwatcher_server.web.pages.controls import Choice, Controls, Picker, controls, scope_pickers
from tokenwatcher_server.web.pages.links import EVENTS, EXPLORE, USERS, Pairs, kept, where
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

BAR = 84
SHOWN = 50
MOST_MOVERS = 6
KINDS = {
    "userId": Dimension("user"),
    "endUserId": Dimension("end_user"),
    "sessionId": Dimension("session"),
}
KIND_LABELS = {"userId": "Users", "endUserId": "End users", "sessionId": "Sessions"}
MEASURES: tuple[Measure, ...] = ("cost", "calls", "errors", "unpriced", "total_tokens")


class UserRow(msgspec.Struct, frozen=True):
    name: str
    absent: bool
    href: str
    events_href: str
    totals: Totals
    share: str
    bar: str
    change: int | None
    per_call: int | None


class MoverRow(msgspec.Struct, frozen=True):
    name: str
    href: str
    mover: Mover
    change: int | None
    size: int
    """How much it moved, without the sign."""


class UsersPage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    kinds: Picker
    title: str
    rows: tuple[UserRow, ...]
    hidden: int
    """How many more there are than the rows."""
    every_href: str
    movers: tuple[MoverRow, ...]
    named: bool
    """False where no call says who it was for."""


@get(USERS, include_in_schema=False)
async def users_page(request: AnyRequest) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    reader = Reader(parameters_of(request))
    asked, kind = parse_with(reader), reader.one("kind") or "userId"
    if kind not in KINDS:
        reader.wrong("kind", f"may be {', '.join(KINDS)}")
    reader.finish()
    moment = await moment_of(request, viewer)
    found = await breakdown(
        services.store, asked, viewer.scope(asked), moment.now_us, (KINDS[kind],), MEASURES
    )
    return answer_page(request, moment, "users.html", viewer, users_of(viewer, asked, kind, found))


def users_of(viewer: Viewer, asked: UsageRequest, kind: str, found: Breakdown) -> UsersPage:
    dimension = KINDS[kind]
    extra: Pairs = (("kind", kind),) if kind != "userId" else ()
    pickers = scope_pickers(USERS, asked, viewer.workspaces, viewer.projects, extra)
    most = most_of(found.lines)
    everything = where(EXPLORE, asked)
    joint = "&" if "?" in everything else "?"
    return UsersPage(
        controls=controls(USERS, asked, found.period, pickers, extra),
        lede=lede(asked, found.period, found.totals),
        kinds=_kind_picker(asked, kind),
        title=KIND_LABELS[kind],
        rows=tuple(_row(asked, dimension, found, line, most) for line in found.lines[:SHOWN]),
        hidden=max(0, len(found.lines) - SHOWN),
        every_href=f"{everything}{joint}measures=cost,calls&groupBy={kind}&limit=1000",
        movers=tuple(_mover(asked, dimension, one) for one in movers(found, MOST_MOVERS)),
        named=any(line.group[0] is not None for line in found.lines),
    )


def _kind_picker(asked: UsageRequest, kind: str) -> Picker:
    choices = tuple(Choice(name, label, name == kind) for name, label in KIND_LABELS.items())
    return Picker("kind", "Who", choices, kept(asked), USERS)


def _row(
    asked: UsageRequest, dimension: Dimension, found: Breakdown, line: Line, most: int
) -> UserRow:
    [user] = line.group
    totals, before = line.totals, found.before.get(line.group)
    return UserRow(
        name="(not said)" if user is None else user,
        absent=user is None,
        href=_models_of(asked, dimension, user),
        events_href=where(EVENTS, asked, (dimension, user)),
        totals=totals,
        share=share(totals.cost, found.totals.cost),
        bar=f"{BAR * (totals.cost or 0) / most:.1f}" if most else "0",
        change=change(totals.cost, None if before is None else before.cost),
        per_call=None if totals.known_cost is None else totals.known_cost // max(1, totals.calls),
    )


def _mover(asked: UsageRequest, dimension: Dimension, mover: Mover) -> MoverRow:
    [user] = mover.group
    return MoverRow(
        name=user or "(empty)",
        href=_models_of(asked, dimension, user),
        mover=mover,
        change=change(mover.totals.cost, mover.before.cost),
        size=abs(mover.difference),
    )


def _models_of(asked: UsageRequest, dimension: Dimension, user: str | None) -> str:
    """What this user called, over time, against the period before."""
    chosen = where(EXPLORE, asked, (dimension, user))
    return f"{chosen}&measures=cost,calls,totalTokens&groupBy=model&compare=before"


ROUTES = (users_page,)

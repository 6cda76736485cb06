"""`/explore`: any measures by any dimensions; the address holds the whole question."""

import msgspec
from litestar import Response, get
from msgspec.structs import replace

from tokenwatcher_server.usage.explore import Explored, ExploreRequest, explore, parse_explore
from tokenwatcher_server.usage.request import UsageRequest, dimension_of, with_filter
from tokenwatcher_server.usage.sentence import lede, period_name
from tokenwatcher_server.web.pages.answer import answer_page, moment_of
from tokenwatcher_server.web.pages.controls import Controls, controls, scope_pickers
from tokenwatcher_server.web.pages.explore_form import Question, parameters_for, question_of
from tokenwatcher_server.web.pages.explore_table import ExploreTable, explore_table
from tokenwatcher_server.web.pages.links import EXPLORE, Link, address
from tokenwatcher_server.web.pages.plot import Plot, plot
from tokenwatcher_server.web.pages.viewer import (
    AnyRequest,
    Viewer,
    parameters_of,
    viewer_of,
)
from tokenwatcher_server.web.services import services_of

QUERY_API = "/api/query"
MOST_EXPORTED = ("limit", "10000")


class ExplorePage(msgspec.Struct, frozen=True):
    controls: Controls
    lede: str
    period_name: str
    question: Question
    plot: Plot
    table: ExploreTable
    downloads: tuple[Link, ...]
    calls: int


@get(EXPLORE, include_in_schema=False)
async def explore_page(request: AnyRequest) -> Response[str]:
    services = services_of(request)
    viewer = await viewer_of(request)
    parameters = parameters_of(request)
    asked = with_new_filter(parse_explore(parameters), dict(parameters))
    moment = await moment_of(request, viewer)
    scope = viewer.scope(asked.table.usage)
    tag_keys = tuple(await services.store.tag_keys(scope))
    found = await explore(services.store, asked, scope, moment.now_us)
    page = explore_of(viewer, asked, found, tag_keys)
    return answer_page(request, moment, "explore.html", viewer, page)


def with_new_filter(asked: ExploreRequest, parameters: dict[str, str]) -> ExploreRequest:
    """Take up what the form for one more filter sends: `by=model&is=gpt-5`."""
    dimension = dimension_of(parameters.get("by", ""))
    value = parameters.get("is")
    if dimension is None or value is None:
        return asked
    usage = asked.table.usage
    present = [known.values for known in usage.filters if known.dimension == dimension]
    values = (*(present[0] if present else ()), value)
    filtered = with_filter(usage, dimension, values)
    return replace(asked, table=replace(asked.table, usage=filtered))


def explore_of(
    viewer: Viewer, asked: ExploreRequest, found: Explored, tag_keys: tuple[str, ...]
) -> ExplorePage:
    usage, extra = asked.table.usage, parameters_for(asked)
    pickers = scope_pickers(EXPLORE, usage, viewer.workspaces, viewer.projects, extra)
    names = dict(viewer.workspaces) | dict(viewer.projects)
    exports = all(
        viewer.principal.may("usage.export", one) for one in viewer.scope(usage).workspaces
    )
    return ExplorePage(
        controls=controls(EXPLORE, usage, found.period, pickers, extra),
        lede=lede(usage, found.period, found.totals),
        period_name=period_name(usage, found.period),
        question=question_of(asked, tag_keys, several_workspaces=len(viewer.workspaces) > 1),
        plot=plot(asked, found, names),
        table=explore_table(asked, found, names),
        downloads=_downloads(asked, found, usage) if exports else (),
        calls=found.totals.calls,
    )


def _downloads(asked: ExploreRequest, found: Explored, usage: UsageRequest) -> tuple[Link, ...]:
    kept = tuple(
        pair for pair in parameters_for(asked) if pair[0] not in {"interval", "compare", "limit"}
    )
    interval = found.course.interval
    each = (("interval", interval),)
    return tuple(
        Link(f"{what}, {label}", address(QUERY_API, usage, (*kept, *more, MOST_EXPORTED, form)))
        for what, more in (("The table", ()), (f"Each {interval}", each))
        for label, form in (("CSV", ("format", "csv")), ("Parquet", ("format", "parquet")))
    )


ROUTES = (explore_page,)

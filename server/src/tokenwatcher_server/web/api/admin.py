"""`POST /api/admin/rebuild-rollups`, for deployments that call it on a schedule."""

from typing import Any

import msgspec
from litestar import Request, post

from tokenwatcher_server.kernel.period import Period
from tokenwatcher_server.web.auth import principal_of, sends_secret
from tokenwatcher_server.web.operations import RebuildArguments, rebuild_totals
from tokenwatcher_server.web.services import services_of

EVER = Period(0, 2**52)
"""All instants that an event can have."""


class Rebuilt(msgspec.Struct, frozen=True, rename="camel"):
    """`rollups` names the derived totals that were made anew, of how many `events`.

    None are where the store makes them anew only as a whole (`tokenwatcher store rebuild`).
    """

    success: bool
    rollups: list[str]
    events: int


@post(
    "/api/admin/rebuild-rollups",
    status_code=200,
    summary="Make the hourly sums anew; they are written with the events, so it changes nothing",
    right="totals.rebuild",
)
async def rebuild_rollups(request: Request[Any, Any, Any]) -> Rebuilt:
    if not sends_secret(request, services_of(request).settings.rollup_rebuild_secret):
        await principal_of(request)
    done = await rebuild_totals(services_of(request), RebuildArguments(EVER))
    return Rebuilt(
        success=True, rollups=["hours", "tagHours"] if done.events else [], events=done.events
    )


ROUTES = (rebuild_rollups,)

"""`POST /api/admin/rebuild-rollups`, for deployments that call it on a schedule."""

from typing import Any

import msgspec
from litestar import Request, post

from tokenwatcher_server.web.auth import principal_of, sends_secret
from tokenwatcher_server.web.services import services_of


class Rebuilt(msgspec.Struct, frozen=True, rename="camel"):
    """`rollups` names the derived totals that were made anew.

    None are: sums by the hour are kept in step with the events, and
    `tokenwatcher store rebuild` makes them anew.
    """

    success: bool
    rollups: list[str]


@post(
    "/api/admin/rebuild-rollups",
    status_code=200,
    summary="For schedules of older deployments: derived totals need no rebuilding",
    right="totals.rebuild",
)
async def rebuild_rollups(request: Request[Any, Any, Any]) -> Rebuilt:
    if not sends_secret(request, services_of(request).settings.rollup_rebuild_secret):
        await principal_of(request)
    return Rebuilt(success=True, rollups=[])


ROUTES = (rebuild_rollups,)

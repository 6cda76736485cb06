"""Alive, ready, and what was counted."""

from ipaddress import ip_address
from typing import Any

import msgspec
from litestar import Request, Response, get, head
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tokenwatcher_server.kernel.errors import AppError, Kind, unavailable
from tokenwatcher_server.web.auth import read_key_of
from tokenwatcher_server.web.services import Services, services_of


class Health(msgspec.Struct, frozen=True):
    status: str


@get("/healthz", summary="Whether the process answers")
async def healthz() -> Health:
    return Health("alive")


@get("/readyz", summary="Whether an event could be committed now")
async def readyz(request: Request[Any, Any, Any]) -> Health:
    await _check_ready(services_of(request))
    return Health("ready")


@head("/healthz", include_in_schema=False)
async def healthz_head() -> None:
    """Many monitors ask without wanting a body."""


@head("/readyz", include_in_schema=False)
async def readyz_head(request: Request[Any, Any, Any]) -> None:
    await _check_ready(services_of(request))


async def _check_ready(services: Services) -> None:
    if not await services.store.ready():
        raise unavailable("The event store can't commit now.", retry_after=5)
    try:
        async with services.database.reading() as connection:
            await connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        raise unavailable("The control database does not answer.", retry_after=5) from None


@get("/metrics", summary="Counters in the Prometheus text format", include_in_schema=True)
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    services = services_of(request)
    if not _is_loopback(request) and await read_key_of(request) is None:
        raise AppError(
            Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "Metrics are for loopback or a read key."
        )
    body = generate_latest(services.metrics.registry) + await _store_figures(services)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _is_loopback(request: Request[Any, Any, Any]) -> bool:
    """True for this machine itself; a request that passed a proxy is never taken for it."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _store_figures(services: Services) -> bytes:
    figures = {**await services.store.statistics(), "queued": services.committer.queued_events}
    lines = [f"tokenwatcher_store_{name} {value}" for name, value in sorted(figures.items())]
    return ("\n".join(lines) + "\n").encode()


ROUTES = (healthz, readyz, healthz_head, readyz_head, metrics)

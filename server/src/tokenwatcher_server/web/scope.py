"""What a request asks about, within what its caller may see."""

from collections.abc import Iterable
from typing import Any

from litestar import Request
from msgspec.structs import replace

from tokenwatcher_server.access.principal import Principal, narrowed
from tokenwatcher_server.access.projects import list_projects
from tokenwatcher_server.events.query import Dimension, Scope
from tokenwatcher_server.usage.request import UsageRequest
from tokenwatcher_server.web.services import services_of

ENVIRONMENT = Dimension("environment")


async def asked_scope(
    request: Request[Any, Any, Any],
    principal: Principal,
    usage: UsageRequest,
    group_by: Iterable[Dimension] = (),
) -> Scope:
    """The part of the caller's scope that is asked about; raises AppError (404) outside it.

    The projects' environments are looked up only where the question is about them.
    """
    scope = narrowed(principal.scope, usage.workspace_id, usage.project_id)
    if ENVIRONMENT not in {*group_by, *(wanted.dimension for wanted in usage.filters)}:
        return scope
    async with services_of(request).database.reading() as connection:
        known = await list_projects(connection)
    environments = tuple(
        (one.id, one.environment) for one in known if one.workspace_id in scope.workspaces
    )
    return replace(scope, environments=environments)

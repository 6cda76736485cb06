"""`POST /local/{operation}`: the command line of this machine asks the running server.

Only who can read the owner-only file in the data folder knows the token.
"""

import hmac
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.params import FromPath

from tokenwatcher_server.kernel.errors import AppError, Kind, invalid, not_found
from tokenwatcher_server.web.operations import OPERATIONS
from tokenwatcher_server.web.services import services_of


@post("/local/{operation:str}", include_in_schema=False, status_code=200)
async def run_operation(
    request: Request[Any, Any, Any], operation: FromPath[str]
) -> Response[bytes]:
    services = services_of(request)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), services.local_token.encode()):
        raise AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "This is for the command line.")
    known = OPERATIONS.get(operation)
    if known is None:
        raise not_found("There is no such operation.")
    try:
        arguments = msgspec.json.decode(await request.body(), type=known.arguments)
    except msgspec.DecodeError:
        raise invalid("The operation's arguments are not what it takes.") from None
    result = await known.run(services, arguments)
    return Response(msgspec.json.encode(result), media_type="application/json")


ROUTES = (run_operation,)

"""Forms as the JSON API would have them: a page's form changes only what the API changes.

A form's handler reads its fields into the API's body and calls the API's own handler, so what
is checked, recorded and refused there holds for pages too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.kernel.errors import Issue, invalid
from tokenwatcher_server.web.auth import right_of
from tokenwatcher_server.web.csrf import FIELD
from tokenwatcher_server.web.pages.viewer import AnyRequest

Body = TypeVar("Body")


async def fields_of(request: AnyRequest) -> dict[str, str]:
    """What was filled in; an empty field counts as not given."""
    form = await request.form()
    return {
        name: value
        for name, value in form.items()
        if name != FIELD and isinstance(value, str) and value
    }


def body_of(fields: Mapping[str, Any], kind: type[Body]) -> Body:
    """The fields as a body of the API; raises AppError saying what is wrong with them."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise invalid(f"The form can't be used: {error}.", Issue("form", str(error))) from None


def action(handler: HTTPRouteHandler) -> Callable[..., Awaitable[Any]]:
    """The function behind a handler of the API, behind the same right."""
    function: Callable[..., Awaitable[Any]] = handler.fn
    right = right_of(handler)

    async def act(request: AnyRequest, principal: Principal, *arguments: Any) -> Any:
        return await function(request, principal.coming_for(right), *arguments)

    return act


def back_to(address: str) -> Response[Any]:
    """After a form, the page is asked for anew, so that a reload repeats nothing."""
    return Redirect(address, status_code=303)

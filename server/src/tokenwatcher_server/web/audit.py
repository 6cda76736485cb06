"""Entries of the audit log for what is changed over HTTP."""

from typing import Any

from litestar import Request
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.principal import Principal
from tokenwatcher_server.control.audit import Actor, Entry, record
from tokenwatcher_server.web.client_address import address_of
from tokenwatcher_server.web.services import services_of

AnyRequest = Request[Any, Any, Any]


async def note(
    connection: AsyncConnection, request: AnyRequest, principal: Principal, entry: Entry
) -> None:
    """Write down what this caller does, in the transaction that does it."""
    now_us = services_of(request).clock.now_us()
    await record(connection, actor_of(request, principal), entry, now_us)


def actor_of(request: AnyRequest, principal: Principal) -> Actor:
    """The caller, with the address and the id of the request."""
    visitor = visitor_of(request, principal.name)
    if principal.session is not None:
        return replace(visitor, kind="user", id=principal.session.user.id)
    if principal.key is not None:
        return replace(visitor, kind="key", id=principal.key.id)
    return visitor


def visitor_of(request: AnyRequest, name: str = "somebody") -> Actor:
    """Somebody who is not signed in."""
    address = address_of(request, services_of(request).settings.trusted_proxies)
    request_id = str(request.scope["state"].get("request_id", "")) or None
    return Actor("visitor", name, None, address, request_id)

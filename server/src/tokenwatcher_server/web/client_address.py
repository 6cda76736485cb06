"""Who is at the other end: the peer, or behind a proxy that the operator trusts, its client."""

import functools
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from litestar import Request

from tokenwatcher_server.settings import Settings

AnyRequest = Request[Any, Any, Any]


def address_of(request: AnyRequest, trusted_proxies: tuple[str, ...]) -> str:
    """The right-most hop that is not a trusted proxy; the peer where it isn't one itself."""
    lines = request.headers.getall("x-forwarded-for", [])  # a proxy may add a line of its own
    return hop_of(request.scope, ",".join(lines), trusted_proxies)


def hop_of(scope: Mapping[str, Any], forwarded_for: str, trusted_proxies: tuple[str, ...]) -> str:
    """The same for a raw request; `forwarded_for` is the whole of its X-Forwarded-For."""
    peer = _peer(scope)
    if not _is_trusted(peer, trusted_proxies):
        return peer
    for hop in reversed(forwarded_for.split(",")):
        address = hop.strip()[:64]
        if address and not _is_trusted(address, trusted_proxies):
            return address
    return peer


def network_of(address: str) -> str:
    """The address itself, or the /64 of one of IPv6, which is a single customer's."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4 or parsed.ipv4_mapped is not None:
        return address
    return str(ip_network((parsed, 64), strict=False))


def is_https(request: AnyRequest, trusted_proxies: tuple[str, ...]) -> bool:
    """Whether the client's own connection is encrypted."""
    forwarded = ",".join(request.headers.getall("x-forwarded-proto", []))
    return is_encrypted(request.scope, forwarded, trusted_proxies)


def is_encrypted(
    scope: Mapping[str, Any], forwarded_proto: str, trusted_proxies: tuple[str, ...]
) -> bool:
    """The same for a raw request; a proxy that says two things is not believed either."""
    if trusted_proxies and _is_trusted(_peer(scope), trusted_proxies):
        return forwarded_proto.strip().lower() == "https"
    return bool(scope.get("scheme") == "https")


def own_address(request: AnyRequest, settings: Settings) -> str:
    """How people reach this server, without a path: PUBLIC_URL, else as this request came."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    scheme = "https" if is_https(request, settings.trusted_proxies) else "http"
    return f"{scheme}://{request.headers.get('host', '')}"


def is_behind_proxy(request: AnyRequest, trusted_proxies: tuple[str, ...]) -> bool:
    """Whether the peer is a proxy that the operator trusts."""
    return _is_trusted(_peer(request.scope), trusted_proxies)


def _peer(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return client[0] if client else ""


@functools.lru_cache(maxsize=4096)
def _is_trusted(address: str, trusted_proxies: tuple[str, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in ip_network(network, strict=False) for network in trusted_proxies)

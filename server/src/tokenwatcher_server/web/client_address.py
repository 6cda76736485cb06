"""Who is at the other end: the peer, or behind a proxy that the operator trusts, its client."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from litestar import Request


def address_of(request: Request[Any, Any, Any], trusted_proxies: Sequence[str]) -> str:
    """The right-most hop that is not a trusted proxy; the peer where it isn't one itself."""
    peer = request.client.host if request.client else ""
    if not _is_trusted(peer, trusted_proxies):
        return peer
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
    for hop in reversed(hops):
        if hop and not _is_trusted(hop, trusted_proxies):
            return hop[:64]
    return peer


def is_https(request: Request[Any, Any, Any], trusted_proxies: Sequence[str]) -> bool:
    """Whether the client's own connection is encrypted."""
    peer = request.client.host if request.client else ""
    if _is_trusted(peer, trusted_proxies):
        return request.headers.get("x-forwarded-proto", "").strip().lower() == "https"
    return request.url.scheme == "https"


def _is_trusted(address: str, trusted_proxies: Sequence[str]) -> bool:
    try:
        parsed = ip_address(address)
        return any(parsed in ip_network(network, strict=False) for network in trusted_proxies)
    except ValueError:
        return False

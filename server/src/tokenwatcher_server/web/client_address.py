"""Who is at the other end: the peer, or behind a proxy that the operator trusts, its client."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from litestar import Request

AnyRequest = Request[Any, Any, Any]


def address_of(request: AnyRequest, trusted_proxies: Sequence[str]) -> str:
    """The right-most hop that is not a trusted proxy; the peer where it isn't one itself."""
    peer = _peer(request)
    if not _is_trusted(peer, trusted_proxies):
        return peer
    lines = request.headers.getall("x-forwarded-for", [])  # a proxy may add a line of its own
    for hop in reversed(",".join(lines).split(",")):
        address = hop.strip()[:64]
        if address and not _is_trusted(address, trusted_proxies):
            return address
    return peer


def is_https(request: AnyRequest, trusted_proxies: Sequence[str]) -> bool:
    """Whether the client's own connection is encrypted."""
    if is_behind_proxy(request, trusted_proxies):
        return request.headers.get("x-forwarded-proto", "").strip().lower() == "https"
    return request.url.scheme == "https"


def is_behind_proxy(request: AnyRequest, trusted_proxies: Sequence[str]) -> bool:
    """Whether the peer is a proxy that the operator trusts."""
    return _is_trusted(_peer(request), trusted_proxies)


def _peer(request: AnyRequest) -> str:
    return request.client.host if request.client else ""


def _is_trusted(address: str, trusted_proxies: Sequence[str]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in ip_network(network, strict=False) for network in trusted_proxies)

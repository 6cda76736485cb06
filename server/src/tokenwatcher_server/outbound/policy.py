"""Where requests may go: the open internet over TLS, and what the operator opens beyond it."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

import msgspec

from tokenwatcher_server.outbound.errors import refused
from tokenwatcher_server.outbound.networks import Address, is_own, is_public
from tokenwatcher_server.outbound.target import Target

USUAL_PORTS = frozenset({80, 443})
_LOCAL_ENDINGS = (".internal", ".local", ".localhost", ".localdomain", ".home.arpa")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    plain_http: bool = False
    """Whether http may be used at all; to what is allowed here it always may."""
    allowed_names: frozenset[str] = frozenset()
    """In lower case; `*.example.com` is every name below that."""
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_ports: frozenset[int] = frozenset()
    """Further ports, beside 80 and 443."""
    own_names: frozenset[str] = frozenset()
    """The names that this server itself answers to."""


def check_target(policy: Policy, target: Target) -> None:
    """What can be said before the name is looked up; raises TargetRefused."""
    if target.port not in USUAL_PORTS | policy.allowed_ports:
        raise refused(f"port {target.port} is not in WEBHOOK_ALLOWED_PORTS")
    if _is_allowed_name(policy, target.name) or target.address is not None:
        return
    if target.name in policy.own_names:
        raise refused("that is this server")
    if "." not in target.name or target.name.endswith(_LOCAL_ENDINGS):
        raise refused("a local name that is not in WEBHOOK_ALLOWED_HOSTS")


def check_addresses(policy: Policy, target: Target, addresses: Sequence[Address]) -> None:
    """Every address that the name has must be good, or none is; raises TargetRefused."""
    if _is_allowed_name(policy, target.name):
        return
    for address in addresses:
        if _is_allowed_address(policy, address):
            continue
        if not is_public(address):
            raise refused("an address inside a network, not in WEBHOOK_ALLOWED_CIDRS")
        if is_own(address):
            raise refused("an address of this machine, not in WEBHOOK_ALLOWED_CIDRS")
        if target.scheme == "http" and not policy.plain_http:
            raise refused("http to a server that is not allowed by name or network")


def _is_allowed_name(policy: Policy, name: str) -> bool:
    if name in policy.allowed_names:
        return True
    labels = name.split(".")
    return any(
        "*." + ".".join(labels[cut:]) in policy.allowed_names for cut in range(1, len(labels))
    )


def _is_allowed_address(policy: Policy, address: Address) -> bool:
    return any(address in network for network in policy.allowed_networks)

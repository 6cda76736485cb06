"""Connects to the very address that was vetted, so no second look-up can lead elsewhere."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import httpcore

from tokenwatcher_server.outbound.errors import refused, unreachable
from tokenwatcher_server.outbound.networks import Address
from tokenwatcher_server.outbound.policy import Policy, check_addresses, check_target
from tokenwatcher_server.outbound.target import Target

MOST_ATTEMPTS = 4
LOOKUP_SECONDS = 2.0
Resolve = Callable[[str], Awaitable[Sequence[Address]]]
"""Every address of a name; raises OSError where there is none."""
SocketOptions = Iterable[httpcore.SOCKET_OPTION] | None


async def vetted_addresses(policy: Policy, target: Target, resolve: Resolve) -> Sequence[Address]:
    """The addresses a connection to the target may be made to, from one look-up.

    Raises TargetRefused if it may not go there, NotSent if the name has no address.
    """
    check_target(policy, target)
    if target.address is not None:
        addresses: Sequence[Address] = [target.address]
    else:
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                addresses = await resolve(target.name)
        except (OSError, ValueError) as error:  # ValueError: a name that no address can have
            raise unreachable(f"the look-up failed: {type(error).__name__}") from None
    if not addresses:
        raise refused("the name has no address")
    check_addresses(policy, target, addresses)
    return addresses[:MOST_ATTEMPTS]


class VettedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for one target, and only to its vetted addresses."""

    def __init__(
        self,
        policy: Policy,
        target: Target,
        resolve: Resolve,
        backend: httpcore.AsyncNetworkBackend,
    ) -> None:
        self._policy = policy
        self._target = target
        self._resolve = resolve
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the signature is httpcore's
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host, port) != (self._target.name, self._target.port):
            raise refused("a connection to another server than the request is for")
        addresses = await vetted_addresses(self._policy, self._target, self._resolve)
        for address in addresses[:-1]:
            try:
                return await self._backend.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(
            str(addresses[-1]), port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002  the signature is httpcore's
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        socket_options: SocketOptions = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise refused("a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

"""The system's look-up of names, in threads of its own: one that hangs keeps nobody else waiting.

The pool that the standard library would look names up in is small, and is also where passwords
are hashed and large batches are read.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from ipaddress import ip_address

from tokenwatcher_server.outbound.networks import Address

MOST_AT_ONCE = 256
"""A look-up that nobody answers holds its thread for as long as the system is patient."""


class SystemNames:
    """Every address the system knows for a name; call it to look one up."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE) -> None:
        self._free = threading.Semaphore(most_at_once)

    async def __call__(self, name: str) -> Sequence[Address]:
        """Raises OSError where the system knows no address, or too many look-ups hang."""
        if not self._free.acquire(blocking=False):
            raise OSError("too many look-ups are waiting for an answer")
        found: Future[Sequence[Address]] = Future()
        thread = threading.Thread(target=self._look_up, args=(name, found), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._free.release()
            raise OSError("no thread is left to look the name up") from None
        return await asyncio.wrap_future(found)

    def _look_up(self, name: str, found: Future[Sequence[Address]]) -> None:
        try:
            entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            addresses = [ip_address(entry[4][0]) for entry in entries]
        except (OSError, ValueError) as error:
            if found.set_running_or_notify_cancel():
                found.set_exception(error)
        else:
            if found.set_running_or_notify_cancel():
                found.set_result(addresses)
        finally:
            self._free.release()

"""Which names this server answers to, told by the Host header of a request.

A page of another site can point a name of its own at this server, and would then count as the
same site. An address can't be pointed anywhere, and on a network a name without a dot is its
owner's: those need no permission there; every other name does.
"""

import re
from ipaddress import ip_address

from tokenwatcher_server.kernel.errors import AppError, Kind, invalid
from tokenwatcher_server.settings import Settings, own_names

MOST_REMEMBERED = 1000
_HOST = re.compile(
    rb"(?P<name>[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?\Z"
)


class KnownHosts:
    """Says of a Host header whether it is sound and ours; remembers those that are."""

    def __init__(self, settings: Settings) -> None:
        names = own_names(settings)
        self._exact = frozenset(name.strip("[]") for name in names)
        self._below = tuple(name[1:] for name in names if name.startswith("*."))
        self._beyond_this_machine = not _is_loopback(settings.host)
        self._known: set[bytes] = set()

    def check(self, host: bytes) -> None:
        """Raise AppError (400) for a Host header that is malformed, or names another server."""
        if host in self._known:
            return
        found = _HOST.match(host)
        if found is None or int(found["port"] or 0) > 65535:
            raise invalid("The request needs exactly one valid Host header.", code="BAD_HOST")
        if not self._is_ours(found["name"].decode().lower().removesuffix(".").strip("[]")):
            raise AppError(
                Kind.INVALID,
                "HOST_NOT_ALLOWED",
                "This server does not answer to that name; its operator can add it to "
                "ALLOWED_HOSTS or set PUBLIC_URL.",
            )
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known.add(host)

    def _is_ours(self, name: str) -> bool:
        if name in self._exact or name == "localhost" or name.endswith(".localhost"):
            return True
        if name.endswith(self._below) or _is_address(name):
            return True
        return self._beyond_this_machine and "." not in name


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)

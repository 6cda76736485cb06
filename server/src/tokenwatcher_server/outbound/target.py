"""A URL that somebody entered, taken apart in the one way there is.

Whatever two parsers could read in two ways is refused: there is one spelling of an address,
and it is the plain one.
"""

import re
from ipaddress import IPv4Address, ip_address

import msgspec

from tokenwatcher_server.kernel.errors import AppError, Issue, invalid
from tokenwatcher_server.outbound.networks import Address

LONGEST_URL = 2_048
LONGEST_NAME = 253
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?\Z",
    re.ASCII,
)
_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z", re.ASCII)
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z", re.ASCII)


class Target(msgspec.Struct, frozen=True):
    """Where a request goes; `name` is in lower case, `address` there if it was written as one."""

    scheme: str
    name: str
    port: int
    path: str
    address: Address | None = None

    @property
    def host(self) -> str:
        """The name as it stands in a URL."""
        return f"[{self.name}]" if ":" in self.name else self.name

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


def target_of(url: str) -> Target:
    """Raises AppError (invalid, at `url`) telling what is wrong with the way it is written."""
    if len(url) > LONGEST_URL:
        raise _wrong(f"It is longer than {LONGEST_URL} characters.")
    found = _URL.match(_AUTHORITY.sub(lambda part: part[0].lower(), url, count=1))
    if found is None:
        raise _wrong(
            "Write it like https://hooks.example.com/path: no user, password or fragment, "
            "and a name of other letters in its xn-- form."
        )
    scheme = found["scheme"]
    port = int(found["port"] or _PORTS[scheme])
    if not 1 <= port <= 65_535:
        raise _wrong("Its port is none.")
    name, address = _host(found["v6"], found["name"])
    path = (found["path"] or "/") + (found["query"] or "")
    return Target(scheme=scheme, name=name, port=port, path=path, address=address)


def _host(v6: str | None, name: str) -> tuple[str, Address | None]:
    if v6 is not None:
        try:
            address = ip_address(v6)
        except ValueError:
            raise _wrong("Its address is none.") from None
        return str(address), address
    labels = name.split(".")
    if _NUMBER.match(labels[-1]):  # then every resolver takes the whole for a number
        try:
            return name, IPv4Address(name)
        except ValueError:
            raise _wrong("Write an address as four decimal numbers.") from None
    if len(name) > LONGEST_NAME or not all(_LABEL.match(label) for label in labels):
        raise _wrong("Its name is none.")
    return name, None


def _wrong(message: str) -> AppError:
    return invalid("That address can't be used.", Issue("url", message))

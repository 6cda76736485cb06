"""Every spelling of a place a request may not go: refused, and nobody is connected to."""

import asyncio
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.tests.outbound.conftest import Canary
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.outbound.errors import NotSent, TargetRefused
from tokenwatcher_server.outbound.gate import Gate
from tokenwatcher_server.outbound.networks import Address, is_public
from tokenwatcher_server.outbound.policy import Policy

HOSTS = Path(__file__).with_name("forbidden_hosts.txt").read_text(encoding="utf-8").split()
SCHEMES = (
    "file",
    "gopher",
    "ftp",
    "dict",
    "ldap",
    "data",
    "javascript",
    "ssh",
    "unix",
    "ws",
    "HTTPS+x",
)
URLS = (
    *(f"http://{host}/" for host in HOSTS),
    *(f"https://{host}/" for host in HOSTS),
    "http:127.0.0.1/",
    "http:/127.0.0.1/",
    "http:///127.0.0.1/",
    "//127.0.0.1/",
    "127.0.0.1",
    "",
    "http://",
    "http://127.0.0.1\t/",
    "http://127.0.0.1\n/",
    "http://127.0.0.1 /",
    " http://127.0.0.1/",
    "http://exa\tmple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com/\r\nHost: 127.0.0.1",
    f"http://{'a' * 64}.com/",
    f"http://{'a.' * 150}com/",
    f"http://example.com/{'a' * 70_000}",
    *(f"{scheme}://127.0.0.1/" for scheme in SCHEMES),
)


class NoDial(httpcore.AsyncNetworkBackend):
    """Notes whom it was asked to connect to."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,  # noqa: ARG002  the signature is httpcore's
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        raise httpcore.ConnectError


def outcome(gate: Gate, url: str) -> tuple[Exception | None, Exception | None]:
    """How it ends when the URL is saved, and when something is sent there."""

    async def ask() -> tuple[Exception | None, Exception | None]:
        saved = sent = None
        try:
            await gate.check(url)
        except (AppError, NotSent) as error:
            saved = error
        try:
            await gate.send("POST", url, headers={}, body=b"{}")
        except (AppError, NotSent) as error:
            sent = error
        return saved, sent

    return asyncio.run(ask())


async def as_if_public(name: str) -> Sequence[Address]:
    """A resolver that would take every name: what is refused here was refused by its looks."""
    if name == "localhost.localdomain":
        return [ip_address("127.0.0.1")]
    return [ip_address("1.1.1.1")]


def test_no_spelling_of_a_forbidden_place_is_connected_to() -> None:
    backend = NoDial()
    gate = Gate(Policy(plain_http=True), resolve=as_if_public, backend=backend)
    assert len(URLS) > 200
    for url in URLS:
        saved, sent = outcome(gate, url)
        assert isinstance(saved, AppError | TargetRefused), url
        assert isinstance(sent, AppError | TargetRefused), url
    assert backend.dialled == []


def test_spellings_of_this_machine_reach_no_socket_of_it() -> None:
    v4, v6 = Canary("127.0.0.1"), Canary("::1")
    try:
        for canary in (v4, v6):
            policy = Policy(plain_http=True, allowed_ports=frozenset({canary.port}))
            gate = Gate(policy)  # with the system's own resolver and connections
            for host in (host for host in HOSTS if host.count(":") != 1):
                outcome(gate, f"http://{host}:{canary.port}/")
        assert (v4.connections(), v6.connections()) == (0, 0)
    finally:
        v4.close()
        v6.close()


def test_what_the_operator_opens_is_connected_to(canary: Canary) -> None:
    policy = Policy(
        allowed_networks=(ip_network("127.0.0.2/32"),), allowed_ports=frozenset({canary.port})
    )
    saved, sent = outcome(Gate(policy, timeout_seconds=0.3), f"http://127.0.0.2:{canary.port}/")
    assert saved is None
    assert isinstance(sent, NotSent)  # it accepts, and never answers
    assert canary.connections() == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/services/T0/B0?x=%2F&y=a-b",
        "HTTPS://Hooks.Example.com/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://xn--bcher-kva.example/",
        "https://my_service.example.com:443",
    ],
)
def test_the_open_internet_is_reached(url: str) -> None:
    backend = NoDial()
    saved, sent = outcome(Gate(Policy(), resolve=as_if_public, backend=backend), url)
    assert saved is None
    assert isinstance(sent, NotSent)
    assert not isinstance(sent, TargetRefused)
    assert backend.dialled in (["1.1.1.1"], ["2606:4700::1111"])


@pytest.mark.parametrize("port", [22, 25, 6379, 5432, 8123, 3000])
def test_a_port_must_be_usual_or_allowed(port: int) -> None:
    url = f"https://hooks.example.com:{port}/"
    shut = Gate(Policy(), resolve=as_if_public, backend=NoDial())
    opened = Gate(Policy(allowed_ports=frozenset({port})), resolve=as_if_public, backend=NoDial())
    assert isinstance(outcome(shut, url)[0], TargetRefused)
    assert outcome(opened, url)[0] is None


def test_plain_http_needs_development_or_an_allowed_server() -> None:
    url = "http://hooks.example.com/"
    for policy, is_open in (
        (Policy(), False),
        (Policy(plain_http=True), True),
        (Policy(allowed_names=frozenset({"hooks.example.com"})), True),
        (Policy(allowed_networks=(ip_network("1.1.1.0/24"),)), True),
        (Policy(allowed_names=frozenset({"other.example.com"})), False),
    ):
        gate = Gate(policy, resolve=as_if_public, backend=NoDial())
        assert (outcome(gate, url)[0] is None) is is_open


@pytest.mark.parametrize(
    ("name", "is_open"),
    [
        ("wiki.corp.internal", True),
        ("a.b.corp.internal", True),
        ("corp.internal", False),
        ("evilcorp.internal", False),
        ("alerts", True),
    ],
)
def test_an_operator_opens_names_and_nothing_beside_them(name: str, *, is_open: bool) -> None:
    async def inside(name: str) -> Sequence[Address]:  # noqa: ARG001  all are
        return [ip_address("10.1.2.3")]

    policy = Policy(allowed_names=frozenset({"*.corp.internal", "alerts"}))
    gate = Gate(policy, resolve=inside, backend=NoDial())
    assert (outcome(gate, f"http://{name}/")[0] is None) is is_open


def test_the_server_refuses_its_own_name() -> None:
    policy = Policy(own_names=frozenset({"tokens.example.com"}))
    gate = Gate(policy, resolve=as_if_public, backend=NoDial())
    assert isinstance(outcome(gate, "https://Tokens.example.com/api/events")[0], TargetRefused)


@given(st.ip_addresses(v=4))
def test_no_address_that_the_standard_calls_local_is_public(address: Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_ipv6_spelling_of_an_ipv4_address_is_public(address: Address) -> None:
    number = int(address)
    for prefix in ("::ffff:0:0", "::", "::ffff:0:0:0", "64:ff9b::"):
        assert not is_public(IPv6Address(int(IPv6Address(prefix)) | number))
    assert not is_public(IPv6Address(int(IPv6Address("2002::")) | number << 80))
    assert not is_public(IPv6Address(int(IPv6Address("2001::")) | number))

"""The gate against a real TLS server: what is sent, how it ends, and where it never goes."""

import asyncio
import gzip
import ssl
import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from server.tests.outbound.conftest import Canary, Receive, Talk
from tokenwatcher_server.outbound.connect import Resolve
from tokenwatcher_server.outbound.errors import NotSent, TargetRefused
from tokenwatcher_server.outbound.gate import LARGEST_ANSWER, Answer, Gate
from tokenwatcher_server.outbound.networks import Address
from tokenwatcher_server.outbound.policy import Policy

LOOPBACK = ip_network("127.0.0.1/32")


class Names:
    """Answers each look-up with the next answer; the last one for good."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, name: str) -> Sequence[Address]:  # noqa: ARG002  one name is asked for
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [ip_address(address) for address in answer]


def says(*parts: bytes) -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return talk


def answer_of(
    receive: Receive,
    talk: Talk,
    trust: ssl.SSLContext,
    *,
    ports: Sequence[int] = (),
    resolve: Resolve | None = None,
    host: str = "hook.example",
    timeout_seconds: float = 5.0,
) -> tuple[Answer, list[bytes]]:
    """What the gate brings back from a server that says `talk`, and what that was sent."""

    async def ask() -> tuple[Answer, list[bytes]]:
        async with receive(talk) as receiver:
            policy = Policy(
                allowed_networks=(LOOPBACK,), allowed_ports=frozenset({receiver.port, *ports})
            )
            gate = Gate(
                policy,
                timeout_seconds=timeout_seconds,
                resolve=resolve or Names(["127.0.0.1"]),
                tls=trust,
            )
            url = f"https://{host}:{receiver.port}/in?a=1"
            answer = await gate.send("POST", url, headers={"X-Kind": "test"}, body=b"{}")
            return answer, receiver.requests

    return asyncio.run(ask())


def test_a_request_arrives_whole_under_its_own_name(
    receive: Receive, trust: ssl.SSLContext
) -> None:
    talk = says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nok")
    answer, requests = answer_of(receive, talk, trust)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (202, b"ok", "7")
    (request,) = requests
    assert request.startswith(b"POST /in?a=1 HTTP/1.1\r\nHost: hook.example:")
    assert b"X-Kind: test\r\n" in request
    assert request.endswith(b"\r\n\r\n{}")


def test_a_certificate_for_another_name_is_refused(receive: Receive, trust: ssl.SSLContext) -> None:
    with pytest.raises(NotSent, match="could not be reached"):
        answer_of(receive, says(b""), trust, host="other.example")


def test_a_certificate_that_nobody_vouches_for_is_refused(receive: Receive) -> None:
    with pytest.raises(NotSent, match="could not be reached"):
        answer_of(receive, says(b""), ssl.create_default_context())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    receive: Receive, trust: ssl.SSLContext, canary: Canary, status: int
) -> None:
    place = f"https://127.0.0.2:{canary.port}/latest/meta-data/"
    talk = says(f"HTTP/1.1 {status} Go\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
    answer, _ = answer_of(receive, talk, trust, ports=[canary.port])
    assert answer.status == status
    assert canary.connections() == 0


def test_no_proxy_of_the_environment_is_used(
    receive: Receive, trust: ssl.SSLContext, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.2:{canary.port}")
    answer, _ = answer_of(receive, says(b"HTTP/1.1 204 Good\r\n\r\n"), trust)
    assert answer.status == 204
    assert canary.connections() == 0


def test_an_endless_answer_is_read_up_to_its_limit(receive: Receive, trust: ssl.SSLContext) -> None:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    answer, _ = answer_of(receive, talk, trust)
    assert len(answer.body) == LARGEST_ANSWER


def drip(start: bytes, part: bytes) -> Talk:
    async def talk(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        drip(b"", b""),
    ],
    ids=["body", "head", "early hints", "silence"],
)
def test_a_slow_server_is_left_when_its_time_is_up(
    receive: Receive, trust: ssl.SSLContext, talk: Talk
) -> None:
    started = time.monotonic()
    with pytest.raises(NotSent, match="took too long"):
        answer_of(receive, talk, trust, timeout_seconds=0.5)
    assert time.monotonic() - started < 3


def test_what_is_packed_stays_packed(receive: Receive, trust: ssl.SSLContext) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    answer, [request] = answer_of(receive, says(head.encode(), bomb), trust)
    assert answer.body == bomb[:LARGEST_ANSWER]
    assert b"Accept-Encoding: identity\r\n" in request


def test_a_server_that_switches_protocols_has_given_no_good_answer(
    receive: Receive, trust: ssl.SSLContext
) -> None:
    talk = says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    try:
        answer, _ = answer_of(receive, talk, trust)
    except NotSent:
        return
    assert answer.status == 101


def test_an_answer_that_is_no_http_is_no_answer(receive: Receive, trust: ssl.SSLContext) -> None:
    for nonsense in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, b""):
        with pytest.raises(NotSent, match="could not be reached"):
            answer_of(receive, says(nonsense), trust)


def test_a_name_that_moves_after_its_check_is_refused_when_sent(
    trust: ssl.SSLContext, canary: Canary
) -> None:
    names = Names(["1.1.1.1"], ["127.0.0.2"])
    gate = Gate(Policy(allowed_ports=frozenset({canary.port})), resolve=names, tls=trust)
    url = f"https://hook.example:{canary.port}/"

    async def check_then_send() -> None:
        await gate.check(url)
        with pytest.raises(TargetRefused):
            await gate.send("POST", url, headers={})

    asyncio.run(check_then_send())
    assert canary.connections() == 0


def test_a_name_is_looked_up_once_and_that_address_is_used(
    receive: Receive, trust: ssl.SSLContext, canary: Canary
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    answer, _ = answer_of(
        receive, says(b"HTTP/1.1 204 Good\r\n\r\n"), trust, ports=[canary.port], resolve=names
    )
    assert (answer.status, names.asked) == (204, 1)
    assert canary.connections() == 0


@pytest.mark.parametrize("order", [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_one_forbidden_address_refuses_the_whole_name(
    receive: Receive, trust: ssl.SSLContext, order: Sequence[str]
) -> None:
    with pytest.raises(TargetRefused):
        answer_of(receive, says(b""), trust, resolve=Names(order))


def test_the_next_address_is_tried_when_one_does_not_answer(
    receive: Receive, trust: ssl.SSLContext
) -> None:
    async def ask() -> Answer:
        async with receive(says(b"HTTP/1.1 204 Good\r\n\r\n")) as receiver:
            policy = Policy(
                allowed_names=frozenset({"hook.example"}),
                allowed_ports=frozenset({receiver.port}),
            )
            gate = Gate(policy, resolve=Names(["127.0.0.9", "127.0.0.1"]), tls=trust)
            url = f"https://hook.example:{receiver.port}/"
            return await gate.send("POST", url, headers={})

    assert asyncio.run(ask()).status == 204


def test_a_refused_address_an_unknown_name_and_a_closed_port_look_the_same(
    trust: ssl.SSLContext,
) -> None:
    async def unknown(name: str) -> Sequence[Address]:
        raise OSError(f"no such name: {name}")

    closed = Gate(
        Policy(allowed_networks=(LOOPBACK,), allowed_ports=frozenset({1})),
        resolve=Names(["127.0.0.1"]),
        tls=trust,
    )
    gates = (
        (closed, "https://hook.example:1/"),
        (Gate(Policy(), resolve=Names(["10.0.0.1"]), tls=trust), "https://hook.example/"),
        (Gate(Policy(), resolve=unknown, tls=trust), "https://hook.example/"),
        (Gate(Policy(), resolve=Names([]), tls=trust), "https://hook.example/"),
    )

    def told(gate: Gate, url: str) -> str:
        with pytest.raises(NotSent) as raised:
            asyncio.run(gate.send("POST", url, headers={}))
        return str(raised.value)

    assert {told(gate, url) for gate, url in gates} == {"The server could not be reached."}


def test_a_look_up_that_hangs_is_left(trust: ssl.SSLContext) -> None:
    async def hang(name: str) -> Sequence[Address]:
        await asyncio.sleep(60)
        raise OSError(name)

    gate = Gate(Policy(), resolve=hang, tls=trust, timeout_seconds=0.2)
    for ask in (gate.check, lambda url: gate.send("POST", url, headers={})):
        with pytest.raises(NotSent, match="took too long"):
            asyncio.run(ask("https://hook.example/"))


def test_a_header_cannot_smuggle_another(receive: Receive, trust: ssl.SSLContext) -> None:
    async def ask() -> list[bytes]:
        async with receive(says(b"HTTP/1.1 204 Good\r\n\r\n")) as receiver:
            policy = Policy(allowed_networks=(LOOPBACK,), allowed_ports=frozenset({receiver.port}))
            gate = Gate(policy, resolve=Names(["127.0.0.1"]), tls=trust)
            url = f"https://hook.example:{receiver.port}/"
            with pytest.raises(NotSent):
                await gate.send("POST", url, headers={"X-A": "b\r\nX-Evil: 1"})
            return receiver.requests

    assert asyncio.run(ask()) == []

"""The way out for e-mail: encrypted or not at all, to vetted addresses alone, and never for long."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.tests.outbound.conftest import Canary
from server.tests.outbound.mail_server import MailServer as Inbox
from server.tests.outbound.test_forbidden import HOSTS
from tokenwatcher_server.kernel.errors import AppError
from tokenwatcher_server.outbound.errors import NotSent, TargetRefused
from tokenwatcher_server.outbound.mail import Letter, Mail, MailServer, is_email_address, message_of
from tokenwatcher_server.outbound.networks import Address
from tokenwatcher_server.outbound.policy import Policy

LETTER = Letter(
    id="0198c0de-0000-7000-8000-0000000000aa",
    recipient="ops@example.com",
    subject="Alert: Chat budget",
    text="Chat budget: spend today is $12.50\n",
    html="<p>Chat budget</p>\n",
)
NAME = "hook.example"
ALLOWED = Policy(allowed_networks=(ip_network("127.0.0.1/32"),))


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


Serve = Callable[..., tuple[Inbox, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a mail server; gives it, and its port."""
    running: list[Inbox] = []

    def start(**options: Any) -> tuple[Inbox, int]:
        running.append(Inbox(**options))
        return running[-1], running[-1].port

    yield start
    for server in running:
        server.close()


async def resolve(_name: str) -> Sequence[Address]:
    return [ip_address("127.0.0.1")]


def send(
    port: int,
    trust: ssl.SSLContext,
    letter: Letter = LETTER,
    policy: Policy = ALLOWED,
    seconds: float = 3.0,
    resolving: Callable[[str], Awaitable[Sequence[Address]]] = resolve,
    **server: Any,
) -> int:
    named = MailServer(host=NAME, port=port, sender="tokenwatcher@example.com", **server)
    mail = Mail(policy, named, timeout_seconds=seconds, resolve=resolving, tls=trust)

    async def sent() -> int:
        try:
            return (await mail.send(letter)).status
        finally:
            await asyncio.sleep(0.05)  # this loop ends, so it must have let go of the connection

    return asyncio.run(sent())


def test_a_letter_arrives_encrypted_and_signed_in(
    serve: Serve, tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    inbox, port = serve(tls_context=tls, require_starttls=True)
    assert send(port, trust, user="tw", password="a password") == 250
    [(recipients, content)] = inbox.letters
    assert recipients == ["ops@example.com"]
    assert "From: tokenwatcher@example.com" in content
    assert f"Message-ID: <{LETTER.id}@example.com>" in content
    assert "Subject: Alert: Chat budget" in content
    assert inbox.signed_in == ["tw:a password"]


def test_a_letter_arrives_over_implicit_tls(
    serve: Serve, tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    inbox, port = serve(implicit_tls=tls)
    assert send(port, trust, encryption="tls") == 250
    assert len(inbox.letters) == 1


def test_nothing_is_sent_where_encryption_is_stripped(serve: Serve, trust: ssl.SSLContext) -> None:
    inbox, port = serve()
    with pytest.raises(NotSent, match="offers no encryption"):
        send(port, trust, user="tw", password="a password")
    assert (inbox.letters, inbox.signed_in) == ([], [])


def test_a_server_with_another_name_on_its_certificate_gets_nothing(
    serve: Serve, tls: ssl.SSLContext
) -> None:
    inbox, port = serve(tls_context=tls)
    with pytest.raises(NotSent):
        send(port, ssl.create_default_context())
    assert inbox.letters == []


def test_a_plain_server_is_used_only_where_it_is_allowed_by_name_or_network(
    serve: Serve, trust: ssl.SSLContext
) -> None:
    inbox, port = serve()
    assert send(port, trust, encryption="none") == 250
    with pytest.raises(TargetRefused):
        send(port, trust, policy=Policy(), encryption="none")
    assert len(inbox.letters) == 1


def test_a_refused_letter_tells_the_reply(
    serve: Serve, tls: ssl.SSLContext, trust: ssl.SSLContext
) -> None:
    inbox, port = serve(tls_context=tls)
    inbox.reply = "550 no such mailbox"
    assert send(port, trust) == 550
    inbox.reply = "451 try again later"
    assert send(port, trust) == 451


def test_a_server_that_says_nothing_is_left_in_time(trust: ssl.SSLContext) -> None:
    async def talk() -> None:
        ended = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
            ended.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        named = MailServer(host=NAME, port=port, sender="tokenwatcher@example.com")
        mail = Mail(ALLOWED, named, timeout_seconds=0.4, resolve=resolve, tls=trust)
        async with asyncio.timeout(3), server:
            with pytest.raises(NotSent, match="took too long"):
                await mail.send(LETTER)
            await ended.wait()
            await asyncio.sleep(0.05)

    asyncio.run(talk())


def test_a_mail_server_inside_a_network_is_not_even_connected_to(
    canary: Any, trust: ssl.SSLContext
) -> None:
    async def inside(_name: str) -> Sequence[Address]:
        return [ip_address("127.0.0.2")]

    async def half_inside(_name: str) -> Sequence[Address]:
        return [ip_address("192.0.2.1"), ip_address("127.0.0.2")]

    for resolving in (inside, half_inside):
        with pytest.raises(TargetRefused):
            send(canary.port, trust, policy=ALLOWED, resolving=resolving)
    assert canary.connections() == 0


def test_no_spelling_of_a_forbidden_mail_server_is_connected_to(trust: ssl.SSLContext) -> None:
    canaries = [Canary("127.0.0.1")]
    canaries.append(Canary("::1", canaries[0].port))
    port = canaries[0].port

    async def tried(host: str) -> Exception | None:
        server = MailServer(host=host, port=port, sender="tokenwatcher@example.com")
        try:
            await Mail(Policy(), server, timeout_seconds=3, tls=trust).send(LETTER)
        except (NotSent, AppError) as error:
            return error
        return None

    async def all_tried() -> list[Exception | None]:
        spelled = [*HOSTS, *(host.strip("[]") for host in HOSTS)]
        return [await tried(host) for host in spelled if host.strip(":")]

    try:
        found = asyncio.run(all_tried())
        assert len(found) > 200
        assert None not in found
        assert sum(canary.connections() for canary in canaries) == 0
    finally:
        for canary in canaries:
            canary.close()


def test_a_subject_can_not_add_a_header() -> None:
    hostile = msgspec.structs.replace(LETTER, subject="Chat\r\nBcc: evil@example.com\x00 budget")
    message = message_of(hostile, "tokenwatcher@example.com")
    assert message["Bcc"] is None
    assert message["Subject"] == "ChatBcc: evil@example.com budget"


@pytest.mark.parametrize("address", ["ops@example.com", "a.b+c@mail.example.co.uk"])
def test_an_address_is_taken(address: str) -> None:
    assert is_email_address(address)


@pytest.mark.parametrize(
    "address",
    ["ops", "@example.com", "ops@localhost", "a@example.com,b@example.com", "ops@example.com\r\nBcc: x",
     "Ops <ops@example.com>", "ops@example..com", "öps@example.com", "a b@example.com", "", "x" * 250 + "@e.org"],
)  # fmt: skip
def test_what_is_no_address_or_more_than_one_is_not(address: str) -> None:
    assert not is_email_address(address)

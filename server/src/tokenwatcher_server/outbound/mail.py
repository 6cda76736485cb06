"""The way out for e-mail: one letter to the operator's mail server, encrypted, for a bounded time.

The mail server's name goes through the same vetting as every other target, and the connection
is made to the vetted address.
"""

import asyncio
import socket
import ssl
import time
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from ipaddress import IPv6Address
from typing import Literal

import aiosmtplib
import msgspec

from tokenwatcher_server.outbound.connect import (
    MOST_ATTEMPTS,
    Resolve,
    vetted_addresses,
)
from tokenwatcher_server.outbound.errors import NotSent, too_slow, unreachable
from tokenwatcher_server.outbound.gate import Answer
from tokenwatcher_server.outbound.names import SystemNames
from tokenwatcher_server.outbound.networks import Address
from tokenwatcher_server.outbound.policy import Policy
from tokenwatcher_server.outbound.target import target_of

Encryption = Literal["starttls", "tls", "none"]
TAKEN = 250


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's; `user` and `password` where it asks for them."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    encryption: Encryption = "starttls"
    """`starttls` and `tls` are required where named: without them nothing is said or sent."""


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An e-mail in plain text and HTML. `id` is the same however often it is sent."""

    id: str
    recipient: str
    subject: str
    text: str
    html: str


class Mail:
    """Sends letters through one mail server. `timeout_seconds` is for one letter in all."""

    def __init__(
        self,
        policy: Policy,
        server: MailServer,
        *,
        timeout_seconds: float,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        ports = policy.allowed_ports | {server.port}  # the operator named it
        self._policy = msgspec.structs.replace(policy, allowed_ports=ports)
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve or SystemNames()
        self._tls = tls or ssl.create_default_context()

    async def send(self, letter: Letter) -> Answer:
        """Send one letter; the answer's status is the mail server's reply code.

        Raises NotSent where no reply came: TargetRefused if the server may not be spoken to.
        """
        message = message_of(letter, self._server.sender)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await self._exchange(message, letter.recipient)
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise too_slow(type(error).__name__) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise unreachable(type(error).__name__) from None
        latency_ms = round((time.monotonic() - started) * 1000)
        return Answer(status=status, headers={}, body=b"", latency_ms=latency_ms)

    async def _exchange(self, message: EmailMessage, recipient: str) -> int:
        server = self._server
        # the vetting that https gets: a plain connection is only made to what is allowed by name
        scheme = "http" if server.encryption == "none" else "https"
        host = f"[{server.host}]" if ":" in server.host else server.host
        target = target_of(f"{scheme}://{host}:{server.port}/")
        addresses = await vetted_addresses(self._policy, target, self._resolve)
        client = aiosmtplib.SMTP(
            hostname=target.name,
            sock=await self._connected(list(addresses), server.port),
            use_tls=server.encryption == "tls",
            start_tls=False,  # that is asked for below, where its absence can be told
            tls_context=self._tls,
            local_hostname=server.sender.rpartition("@")[2],
            timeout=self._timeout_seconds,
        )
        try:
            status = await self._hand_over(client, message, recipient)
            if client.is_connected:
                await client.quit()
        finally:
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()  # closing in peace could take longer than there is time
            client.close()
        return status

    async def _hand_over(
        self, client: aiosmtplib.SMTP, message: EmailMessage, recipient: str
    ) -> int:
        try:
            await client.connect()
            await self._prepare(client)
            await client.send_message(message, sender=self._server.sender, recipients=[recipient])
        except aiosmtplib.SMTPRecipientsRefused as error:
            return error.recipients[0].code
        except aiosmtplib.SMTPResponseException as error:
            return error.code
        return TAKEN

    async def _prepare(self, client: aiosmtplib.SMTP) -> None:
        """Encrypt and sign in, as far as the settings say."""
        await client.ehlo()
        if self._server.encryption == "starttls":
            if not client.supports_extension("starttls"):
                raise NotSent(
                    "The mail server offers no encryption, so nothing was sent.",
                    "STARTTLS is not offered; see SMTP_TLS",
                )
            await client.starttls()
        if self._server.user is not None:
            await client.login(self._server.user, self._server.password or "")

    async def _connected(self, addresses: list[Address], port: int) -> socket.socket:
        """The first of the vetted addresses that takes a connection."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_STREAM)
            opened.setblocking(False)  # noqa: FBT003 - the standard library's signature
            try:
                async with asyncio.timeout(self._timeout_seconds / MOST_ATTEMPTS):
                    await loop.sock_connect(opened, (str(address), port))
            except OSError:  # a timeout is one too
                opened.close()
                continue
            except BaseException:
                opened.close()
                raise
            return opened
        raise unreachable("none of its addresses takes a connection")


def message_of(letter: Letter, sender: str) -> EmailMessage:
    """The letter as it is sent. Nothing in it can add a header: each is made one line."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.recipient
    message["Subject"] = " ".join("".join(filter(str.isprintable, letter.subject)).split())
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def is_email_address(text: str) -> bool:
    """Whether a text is one plain address, such as `ops@example.com`."""
    name, at, domain = text.rpartition("@")
    return (
        bool(at and name and "." in domain)
        and len(text) <= 254
        and text.isascii()
        and text.isprintable()
        and not set(text) & set(' ,;:<>()[]"\\')
        and parseaddr(text)[1] == text
        and all(domain.split("."))
    )

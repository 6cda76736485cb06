"""A real mail server on loopback, with whatever of encryption a test wants."""

import asyncio
import ssl
import threading
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult


class _Session(SMTP):
    """Knows its transports, the encrypted one and that below it, so that all can be closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.transports: list[asyncio.WriteTransport] = []
        super().__init__(*args, **options)

    def connection_made(self, transport: Any) -> None:
        self.transports.append(transport)
        super().connection_made(transport)


class MailServer:
    """Keeps what it gets, unless it has another `reply`."""

    def __init__(
        self,
        implicit_tls: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        **options: Any,
    ) -> None:
        self.letters: list[tuple[list[str], str]] = []
        self.signed_in: list[str] = []
        self.reply = "250 OK"
        self._sessions: list[_Session] = []
        self._options: dict[str, Any] = {
            "hostname": "hook.example",
            "authenticator": self._sign_in,
        } | options
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(self._session, address, port, ssl=implicit_tls)
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.reply.startswith("55"):
            return self.reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append((envelope.rcpt_tos, envelope.content.decode()))
        return self.reply

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._server.close()
        for session in self._sessions:
            for transport in session.transports:
                transport.abort()
        self._loop.run_until_complete(asyncio.sleep(0.05))
        self._loop.close()

    def _session(self) -> SMTP:
        self._sessions.append(_Session(self, loop=self._loop, **self._options))
        return self._sessions[-1]

    def _sign_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        self.signed_in.append(f"{data.login.decode()}:{data.password.decode()}")
        return AuthResult(success=True)

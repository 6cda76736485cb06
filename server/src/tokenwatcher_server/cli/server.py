"""Runs the HTTP server in this process until it is told to stop."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from tokenwatcher_server.app import App, running_app
from tokenwatcher_server.cli.instance import RunningServer, announced
from tokenwatcher_server.cli.rebuilding import rebuilding_bar
from tokenwatcher_server.settings import Settings, SettingsError

HEADER_MILLISECONDS = 10_000
"""For a request's headers, and for how long a kept connection may idle before them. Twice what
common clients keep one, so that they let go first and lose no request to a closing socket."""
DRAIN_SECONDS = 3.0
PORTS_TO_TRY = 100

WhenReady = Callable[[App, str], Awaitable[None]]
"""Called with the application and its address once it answers; may run as long as it likes."""


async def run_server(settings: Settings, when_ready: WhenReady) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was accepted."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_app(settings, rebuilding=rebuilding_bar()) as app:
        port = free_port(settings.host, settings.port, most=1)
        server = _server(app, settings.host, port)
        serving = asyncio.create_task(server.serve(), name="http")
        await _listening(settings.host, port, serving)
        url = f"http://{_shown_host(settings.host)}:{port}"
        with announced(settings.data_dir, _announcement(app, url)):
            ready = asyncio.ensure_future(when_ready(app, url))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({stopping, serving, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() and not stop.is_set() and ready.exception() is None:
                await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            await _finish(ready)
            loop.set_exception_handler(_while_stopping)
            server.stop()  # type: ignore[no-untyped-call]
            with suppress(TimeoutError):
                await asyncio.wait_for(serving, DRAIN_SECONDS)


def _while_stopping(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Granian answers requests that were cut off by the stop, which nobody waits for any more."""
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


async def _finish(task: asyncio.Future[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _server(app: App, host: str, port: int) -> Server:
    return Server(
        app.asgi,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=65_536
        ),
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )


async def _listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Return once the port takes connections; raise what stopped the server if it did."""
    while True:
        if serving.done():
            await serving
        with suppress(OSError):
            _, writer = await asyncio.open_connection(_shown_host(host), port)
            writer.close()
            return
        await asyncio.sleep(0.01)


def _announcement(app: App, url: str) -> RunningServer:
    return RunningServer(os.getpid(), url, app.services.local_token)


def _shown_host(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    if host in {"0.0.0.0", ""}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


def free_port(host: str, wanted: int, *, most: int = PORTS_TO_TRY) -> int:
    """The wanted port, or the next of `most` that is free; any free one for 0.

    Granian shares a port that another program listens on instead of failing, so this is asked
    first. Raises SettingsError where none is free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(wanted, min(wanted + most, 65_536) if wanted else 1):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise SettingsError(
                        "TOKENWATCHER_HOST", f"can't listen on {host}: {error.strerror}"
                    ) from None
            else:
                return int(probe.getsockname()[1])
    taken = f"port {wanted} is taken" if most == 1 else f"no free port from {wanted} on"
    raise SettingsError("TOKENWATCHER_PORT", f"{taken}; choose another one")

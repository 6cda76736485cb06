"""Talks to the instance in a data folder: through its running server, else by opening it.

A running server leaves an owner-only file in the data folder with its address and a token.
"""

import asyncio
import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from tokenwatcher_server.app import running_app
from tokenwatcher_server.control.database import FILE_NAME as CONTROL_FILE
from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused
from tokenwatcher_server.settings import Settings, SettingsError, load
from tokenwatcher_server.web.errors import Problem
from tokenwatcher_server.web.operations import OPERATIONS

FILE_NAME = "server.json"
OPERATION_SECONDS = 3600


class RunningServer(msgspec.Struct, frozen=True):
    """What the file in the data folder tells about the server that runs on it."""

    pid: int
    url: str
    token: str


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TOKENWATCHER_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="The folder that holds the instance.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def settings_of(data_dir: Path, **overrides: object) -> Settings:
    """The settings of the instance; ends the command with a message where they are wrong."""
    try:
        return load(os.environ, data_dir=data_dir, **overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def is_instance(data_dir: Path) -> bool:
    """Whether a server was ever started with these settings."""
    return settings_of(data_dir).database_url is not None or (data_dir / CONTROL_FILE).exists()


def need_instance(data_dir: Path) -> None:
    """End the command where there is none: opening it would make one that nobody asked for."""
    if not is_instance(data_dir):
        raise click.ClickException(
            f"There is no instance in {data_dir}. Start one with `tokenwatcher serve`, or name its "
            "folder with --data-dir."
        )


@contextmanager
def announced(data_dir: Path, server: RunningServer) -> Iterator[None]:
    """Tell other commands that this server runs, for as long as the block lasts."""
    path = data_dir / FILE_NAME
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(server))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def running_server(data_dir: Path) -> RunningServer | None:
    """The server that runs on the data folder now, None where there is none."""
    try:
        found = msgspec.json.decode((data_dir / FILE_NAME).read_bytes(), type=RunningServer)
        os.kill(found.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    return found


def run_operation(data_dir: Path, name: str, arguments: msgspec.Struct) -> Any:
    """Run one of `web/operations.py` and give its result.

    Raises click.ClickException with a message for a person.
    """
    server = running_server(data_dir)
    if server is not None:
        return _ask(server, name, arguments)
    need_instance(data_dir)
    try:
        return asyncio.run(_run_here(settings_of(data_dir), name, arguments))
    except (AppError, InstanceRefused, SettingsError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None


async def _run_here(settings: Settings, name: str, arguments: msgspec.Struct) -> Any:
    async with running_app(settings) as app:
        return await OPERATIONS[name].run(app.services, arguments)


def _ask(server: RunningServer, name: str, arguments: msgspec.Struct) -> Any:
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(
        address.hostname or "127.0.0.1", address.port, timeout=OPERATION_SECONDS
    )
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", f"/local/{name}", msgspec.json.encode(arguments), headers)
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        raise click.ClickException(
            f"The server at {server.url} does not answer ({type(error).__name__}). "
            "If it was killed, start it again or remove server.json from the data folder."
        ) from None
    finally:
        connection.close()
    if response.status != 200:
        raise click.ClickException(_detail(body))
    return msgspec.json.decode(body, type=OPERATIONS[name].result)


def _detail(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Problem).detail
    except msgspec.DecodeError:
        return "The server could not do it; its log says why."


def print_json(value: object) -> None:
    click.echo(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))

"""`tokenwatcher serve`: the server, and at its first start what a newcomer needs to begin."""

import os
from pathlib import Path

import click
import msgspec
import uvloop

from tokenwatcher_server.access.first_start import Welcome
from tokenwatcher_server.app import App
from tokenwatcher_server.cli.instance import data_dir_option, settings_of
from tokenwatcher_server.cli.server import WhenReady, free_port, run_server
from tokenwatcher_server.kernel.errors import InstanceRefused
from tokenwatcher_server.observability import logs
from tokenwatcher_server.settings import Settings, SettingsError, secrets_of

FIRST_EVENT = (
    '{"provider": "openai", "model": "gpt-4o-mini", "inputTokens": 1200, '
    '"outputTokens": 300, "tags": {"feature": "chat"}}'
)


@click.command()
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="The port.  [default: 3000]")
@click.option(
    "--next-free-port", is_flag=True, help="Where the port is taken, use the next free one."
)
@click.option(
    "--i-know-this-is-insecure",
    "insecure",
    is_flag=True,
    help="Start although strangers could get in; every page then says so.",
)
@data_dir_option
def serve(
    host: str | None, port: int | None, *, next_free_port: bool, insecure: bool, data_dir: Path
) -> None:
    """Run the server on a data folder, which is made at the first start."""
    settings = settings_of(data_dir, host=host, port=port, insecure=insecure)
    start(settings, _welcome, next_free_port=next_free_port)


def start(settings: Settings, when_ready: WhenReady, *, next_free_port: bool) -> None:
    """Run the server until it is stopped; ends the command with one clear line on a refusal."""
    in_production = settings.environment == "production"
    logs.configure(
        json=(settings.log_format or ("json" if in_production else "console")) == "json",
        secrets=secrets_of(settings),
        whole_errors=not in_production,
    )
    os.umask(0o077)  # whatever is made in the data folder is its owner's alone
    try:
        if next_free_port and settings.port:
            settings = _on_free_port(settings)
        uvloop.run(run_server(settings, when_ready))
    except (SettingsError, InstanceRefused) as error:
        raise click.ClickException(str(error)) from None
    click.echo("Stopped; everything acknowledged is on disk.")


def _on_free_port(settings: Settings) -> Settings:
    port = free_port(settings.host, settings.port)
    if port != settings.port:
        click.echo(f"Port {settings.port} is taken; using {port}.")
    return msgspec.structs.replace(settings, port=port)


async def _welcome(app: App, url: str) -> None:
    if app.welcome is not None:
        click.echo(_first_start_text(app.welcome, url))
    click.echo(f"TokenWatcher is ready at {url}")


def _first_start_text(welcome: Welcome, url: str) -> str:
    lines = ["", "Welcome to TokenWatcher. These are shown once, so keep them:", ""]
    if welcome.password is not None:
        lines += [
            f"  Sign in as  {welcome.username}",
            f"  Password    {welcome.password}",
        ]
    lines += [
        f"  API key     {welcome.raw_key}",
        "",
        "Send a first event:",
        "",
        f"  curl {url}/api/ingest \\",
        f"    -H 'Authorization: Bearer {welcome.raw_key}' \\",
        "    -H 'Content-Type: application/json' \\",
        f"    -d '{FIRST_EVENT}'",
        "",
    ]
    return "\n".join(lines)

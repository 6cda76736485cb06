"""`tokenwatcher version`."""

import json

import click

from tokenwatcher_server import __version__


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def version(*, as_json: bool) -> None:
    """Print the version."""
    click.echo(json.dumps({"version": __version__}) if as_json else f"tokenwatcher {__version__}")

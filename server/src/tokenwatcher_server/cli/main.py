"""The `tokenwatcher` command: its groups and commands in one place."""

import click

from tokenwatcher_server import __version__
from tokenwatcher_server.cli.demo import demo
from tokenwatcher_server.cli.instance import json_option, print_json
from tokenwatcher_server.cli.keys import keys
from tokenwatcher_server.cli.prices import prices
from tokenwatcher_server.cli.serve import serve
from tokenwatcher_server.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Know what your LLM calls cost: which feature, user, route and model spends the tokens.

    Start with `tokenwatcher serve`, or see it work with `tokenwatcher demo`.
    """


@main.command()
@json_option
def version(*, as_json: bool) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        click.echo(f"tokenwatcher {__version__}")


for command in (serve, demo, keys, users, prices):
    main.add_command(command)

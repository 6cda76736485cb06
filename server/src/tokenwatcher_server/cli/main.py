"""The `tokenwatcher` command: its groups and commands in one place."""

import atexit
import gc
from importlib import import_module
from importlib.metadata import version as version_of
from typing import Final

import click

COMMANDS: Final = {
    "serve": "Run the server on a data folder, which is made at the first start.",
    "demo": "See it work: a made-up company's 90 days, and live traffic.",
    "keys": "Make, list, rotate and revoke API keys.",
    "users": "Make and list the people who may sign in.",
    "prices": "Your own prices, and how each cost came about.",
    "doctor": "Check how safely the instance is set up, and what mends what is not.",
    "store": "Check what is stored, and make anew what is derived from it.",
    "rollups": "Make the hourly sums that answer most questions anew.",
    "backup": "Copy the whole instance while it runs, and prove that the copy restores.",
    "restore": "Make an instance of a backup.",
    "migrate-store": "Move the instance to a database, or from one to another.",
    "erase": "Remove a person from the events for good, or unlink them.",
    "retention": "How long events and prompts are kept.",
    "version": "Print the version.",
}
"""Each lives in the module of its name, which is loaded when it is used: most are large."""


class _LazyGroup(click.Group):
    """Lists its commands without loading them; `--help` and `version` answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        gc.disable()  # nothing that is being imported is garbage: a fifth of a start is saved
        module = import_module(f"tokenwatcher_server.cli.{name}")
        gc.freeze()  # nor will it be: looking through it again stops requests for a while
        gc.enable()
        atexit.register(gc.unfreeze)  # else DuckDB's binding takes what is frozen for leaks
        command: click.Command = getattr(module, name)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_of("tokenwatcher-server"), prog_name="tokenwatcher")
def main() -> None:
    """Know what your LLM calls cost: which feature, user, route and model spends the tokens.

    Start with `tokenwatcher serve`, or see it work with `tokenwatcher demo`.
    """

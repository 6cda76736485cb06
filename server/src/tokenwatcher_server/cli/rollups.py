"""`tokenwatcher rollups`: the sums by the hour that answer most questions."""

from pathlib import Path

import click

from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    json_option,
    print_json,
    run_operation,
)
from tokenwatcher_server.cli.price_options import (
    from_option,
    period_between,
    to_option,
    workspace_option,
)
from tokenwatcher_server.web.operations import RebuildArguments, RebuiltTotals


@click.group(cls=Group)
def rollups() -> None:
    """Make the hourly sums that answer most questions anew."""


@rollups.command("rebuild")
@from_option
@to_option
@workspace_option
@data_dir_option
@json_option
def rebuild(start: int, end: int, workspace: str | None, data_dir: Path, *, as_json: bool) -> None:
    """Make the hourly sums of a period anew from its events, while the server runs.

    They are written in the transaction of the events, so this changes no number; it is for whoever
    wants to be sure. Senders wait meanwhile. The store in a data folder makes its sums anew as a
    whole: `tokenwatcher store rebuild`.
    """
    asked = RebuildArguments(period_between(start, end), workspace)
    done: RebuiltTotals = run_operation(data_dir, "totals.rebuild", asked)
    if as_json:
        print_json(done)
    elif done.events:
        click.echo(f"Summed {done.events:,} events anew.")
    else:
        click.echo("Nothing to sum here: there are no such events, or the store is in the data folder"
                   " (`tokenwatcher store rebuild`).")  # fmt: skip

"""`tokenwatcher migrate-store`: an instance moved to another place."""

from pathlib import Path

import click

from tokenwatcher_server.backup.move import Moved, move
from tokenwatcher_server.cli.backup import run
from tokenwatcher_server.cli.control import operator
from tokenwatcher_server.cli.instance import json_option, print_json, running_server
from tokenwatcher_server.cli.places import how_to_start, place_named, shown
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import Progress


@click.command()
@click.option(
    "--from",
    "source",
    metavar="DATA_DIR|URL",
    required=True,
    help="Where it is: a data folder, or a database such as postgresql://USER:PASSWORD@HOST/DATABASE.",
)
@click.option("--to", "target", metavar="DATA_DIR|URL", required=True, help="Where it goes.")
@click.option("--events-from", metavar="URL", help="Where its events are, if not with the rest.")
@click.option("--events-to", metavar="URL", help="Where its events go, if not with the rest.")
@json_option
def migrate_store(
    source: str, target: str, events_from: str | None, events_to: str | None, *, as_json: bool
) -> None:
    """Copy a whole instance to another place, and compare it there by workspace and day.

    Stop its servers first. What was interrupted goes on when it is run again; the old place is
    left as it was. People sign in again.
    """
    here, there = place_named(source, events_from), place_named(target, events_to)
    for place in (here, there):
        if running_server(place.folder) is not None:
            raise click.ClickException(f"A server runs on {place.folder}: stop it first.")
    if here.database_url is None and not Path(source).is_dir():
        raise click.ClickException(f"There is no instance in {source}: the folder is missing.")

    async def work(progress: Progress) -> Moved:
        return await move(
            here, there, actor=operator(), now_us=SystemClock().now_us(), progress=progress
        )

    moved, seconds = run(work, "Moving", hidden=as_json)
    if as_json:
        print_json(moved)
        return
    before = f" ({moved.already_there:,} were there already)" if moved.already_there else ""
    click.echo(
        f"Moved {moved.events:,} events{before} and {moved.control_rows:,} rows of control data to "
        f"{shown(there)} in {seconds:.1f} s: equal on each of {moved.days:,} days and workspaces."
    )
    click.echo(how_to_start(there), err=True)

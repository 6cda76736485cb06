"""`tokenwatcher restore`: an instance made of a backup."""

from pathlib import Path

import click

from tokenwatcher_server.backup import restore as restoring
from tokenwatcher_server.backup.manifest import Manifest
from tokenwatcher_server.cli.backup import run, told
from tokenwatcher_server.cli.control import operator
from tokenwatcher_server.cli.instance import json_option, print_json
from tokenwatcher_server.cli.places import how_to_start, place_named, shown
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.stores import Progress


@click.command()
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--into",
    "target",
    metavar="DATA_DIR|URL",
    required=True,
    help="The data folder to make, which must not be there yet or be empty; or an empty database, "
    "such as postgresql://USER:PASSWORD@HOST/DATABASE.",
)
@json_option
def restore(source: Path, target: str, *, as_json: bool) -> None:
    """Make an instance of the backup in DIR, equal to it in every total.

    People sign in again; API keys, prices, alerts and the audit log are as they were.
    """
    place = place_named(target)

    async def work(progress: Progress) -> Manifest:
        return await restoring.restore(
            source,
            place,
            actor=operator(),
            now_us=SystemClock().now_us(),
            progress=progress,
        )

    restored, seconds = run(work, "Restoring", hidden=as_json)
    if as_json:
        print_json({"events": restored.events, "createdAt": restored.created_at,
                    "seconds": round(seconds, 3)})  # fmt: skip
        return
    click.echo(
        f"Restored {told(restored)} into {shown(place)} in {seconds:.1f} s: "
        f"the instance as it was at {restored.created_at}."
    )
    click.echo(how_to_start(place), err=True)

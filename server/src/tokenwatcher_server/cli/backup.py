"""`tokenwatcher backup`: a copy of the whole instance while it runs, and proof that it restores."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import click

from tokenwatcher_server.access.checkup_data import BACKUP_MARK
from tokenwatcher_server.backup import restore as restoring
from tokenwatcher_server.backup.make import make_backup
from tokenwatcher_server.backup.manifest import BackupRefused, Manifest
from tokenwatcher_server.cli.control import operator
from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    json_option,
    need_instance,
    print_json,
    settings_of,
)
from tokenwatcher_server.cli.progress import progress_on
from tokenwatcher_server.control.database import Database, control_url
from tokenwatcher_server.control.migrate import migrate
from tokenwatcher_server.events.store import StoreUnavailable
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused
from tokenwatcher_server.stores import Progress, open_history

Result = TypeVar("Result")


class _Backup(Group):
    """A folder's name in a command's place makes a backup there."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Backup, invoke_without_command=False, subcommand_metavar="DIR | verify DIR")
def backup() -> None:
    """Copy the whole instance into a new folder DIR, while it runs.

    Events as Parquet, everything else as lines of JSON, and a manifest with digests and totals.
    `tokenwatcher backup verify DIR` proves that it restores; `tokenwatcher restore` does it.
    """


@backup.command("make")
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@data_dir_option
@json_option
def make(target: Path, data_dir: Path, *, as_json: bool) -> None:
    """Copy the whole instance into a new folder DIR; the word `make` may be left out."""
    need_instance(data_dir)
    settings = settings_of(data_dir)
    clock = SystemClock()

    async def work(progress: Progress) -> Manifest:
        database = Database(control_url(settings.database_url, settings.data_dir))
        try:
            await migrate(database)
            with closing(open_history(settings.events_url, settings.data_dir)) as history:
                made = await make_backup(
                    target,
                    history=history,
                    database=database,
                    data_dir=settings.data_dir,
                    actor=operator(),
                    now_us=clock.now_us(),
                    progress=progress,
                )
        finally:
            await database.close()
        (settings.data_dir / BACKUP_MARK).touch()
        return made

    made, seconds = run(work, "Backing up", hidden=as_json)
    if as_json:
        print_json(_summary(made, seconds))
        return
    size = sum(file.bytes for file in made.files) / 1e6
    click.echo(f"Backed up {told(made)} to {target} in {seconds:.1f} s: {size:,.1f} MB.")
    click.echo(f"Prove that it restores: tokenwatcher backup verify {target}", err=True)


@backup.command("verify")
@click.argument("source", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where there is room to restore it for the while; else the system's folder for such.",
)
@json_option
def verify(source: Path, scratch: Path | None, *, as_json: bool) -> None:
    """Restore the backup in DIR into a scratch store, and compare every total."""

    async def work(progress: Progress) -> Manifest:
        return await restoring.check(source, scratch=scratch, progress=progress)

    proved, seconds = run(work, "Restoring into a scratch store", hidden=as_json)
    if as_json:
        print_json(_summary(proved, seconds))
        return
    days = len({day.day for day in proved.totals})
    click.echo(
        f"{source} restores: {told(proved)}, equal on each of {days:,} days and as a whole; "
        f"made {proved.created_at}, proved in {seconds:.1f} s."
    )


def run(
    work: Callable[[Progress], Awaitable[Result]], label: str, *, hidden: bool
) -> tuple[Result, float]:
    """Do the work under a progress bar; gives its result and how many seconds it took."""
    began = time.monotonic()
    try:
        with click.progressbar(length=1, label=label, hidden=hidden) as bar:

            async def whole() -> Result:
                return await work(progress_on(bar))

            done = asyncio.run(whole())
            bar.update(max(1, bar.length or 1) - bar.pos)
    except (BackupRefused, AppError, InstanceRefused, StoreUnavailable, OSError) as error:
        raise click.ClickException(str(error)) from None
    return done, time.monotonic() - began


def told(manifest: Manifest) -> str:
    """What a backup holds, in a few words."""
    repriced = f" ({manifest.repricings:,} priced again)" if manifest.repricings else ""
    rows = sum(manifest.control_rows.values())
    return f"{manifest.events:,} events{repriced} and {rows:,} rows of control data"


def _summary(manifest: Manifest, seconds: float) -> dict[str, object]:
    return {
        "createdAt": manifest.created_at,
        "events": manifest.events,
        "repricings": manifest.repricings,
        "controlRows": manifest.control_rows,
        "bytes": sum(file.bytes for file in manifest.files),
        "seconds": round(seconds, 3),
    }

"""`tokenwatcher store`: check what is stored, and make anew what is derived from it."""

import time
from pathlib import Path

import click

from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    json_option,
    print_json,
    run_operation,
    running_server,
)
from tokenwatcher_server.cli.progress import progress_on
from tokenwatcher_server.events.store import StoreRefused, StoreUnavailable, Verification
from tokenwatcher_server.stores import rebuild_store
from tokenwatcher_server.web.operations import VerifyArguments


@click.group(cls=Group)
def store() -> None:
    """Check what is stored, and make anew what is derived from it."""


@store.command("verify")
@data_dir_option
@json_option
def verify(data_dir: Path, *, as_json: bool) -> None:
    """Walk the chain of everything acknowledged, and compare it with what answers questions.

    Works beside a running server. The exit status is 1 where something is wrong.
    """
    found: Verification = run_operation(data_dir, "store.verify", VerifyArguments())
    if as_json:
        print_json(found)
    elif found.sound:
        click.echo(
            f"Sound: {found.events:,} events in {found.commits:,} commits, all as acknowledged."
        )
    else:
        for fault in found.faults:
            click.echo(f"Wrong: {fault}", err=True)
    if not found.sound:
        raise SystemExit(1)


@store.command("rebuild")
@data_dir_option
@json_option
def rebuild(data_dir: Path, *, as_json: bool) -> None:
    """Make the columns and indexes anew from the journal.

    The server must not run meanwhile. A start does the same by itself where they are lost.
    """
    server = running_server(data_dir)
    if server is not None:
        raise click.ClickException(
            f"A server runs on {data_dir} (process {server.pid}): stop it first."
        )
    began = time.monotonic()
    try:
        with click.progressbar(length=1, label="Rebuilding", hidden=as_json) as bar:
            events = rebuild_store(data_dir, progress_on(bar))
    except (StoreRefused, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None
    seconds = time.monotonic() - began
    if as_json:
        print_json({"events": events, "seconds": round(seconds, 3)})
    else:
        click.echo(f"Made anew from the journal: {events:,} events in {seconds:.1f} s.")

"""`tokenwatcher retention`: how long workspaces keep events, and prompts apart."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access.workspaces import (
    DEFAULT,
    Workspace,
    find_workspace,
    list_workspaces,
)
from tokenwatcher_server.cli.control import operator, with_control
from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    json_option,
    print_json,
    run_operation,
)
from tokenwatcher_server.cli.text import table
from tokenwatcher_server.control.audit import Entry, record
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused
from tokenwatcher_server.retention.keeping import MOST_DAYS, keep
from tokenwatcher_server.web.operations import ApplyRetentionArguments, RetentionApplied

FOREVER: Final = "forever"


class Kept(msgspec.Struct, frozen=True, rename="camel"):
    """How long one workspace keeps both; None is for ever, or for prompts as long as events."""

    workspace: str
    keep_events_days: int | None
    keep_prompts_days: int | None


class Days(click.ParamType[int | str]):
    """A number of days, or for ever."""

    name = "days"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int | str:
        if value == FOREVER:
            return FOREVER
        if not str(value).isdecimal() or not 1 <= int(value) <= MOST_DAYS:
            self.fail(f"give a number of days from 1 to {MOST_DAYS}, or {FOREVER}", param, ctx)
        return int(value)


@click.group(cls=Group)
def retention() -> None:
    """Say how long events are kept, and prompts apart.

    A running server removes what is older by itself, once an hour. Prompts are only there where
    STORE_PROMPTS is on, and are kept for 30 days unless it is said otherwise.
    """


@retention.command("show")
@data_dir_option
@json_option
def show(data_dir: Path, *, as_json: bool) -> None:
    """Show how long each workspace keeps its events and prompts."""
    kept = [_kept(workspace) for workspace in with_control(data_dir, list_workspaces)]
    if as_json:
        print_json(kept)
        return
    rows = [
        (each.workspace, _days(each.keep_events_days, "for ever"),
         _days(each.keep_prompts_days, "as long as events"))
        for each in kept
    ]  # fmt: skip
    click.echo(table(("Workspace", "Events", "Prompts"), rows))


@retention.command("set")
@click.option("--workspace", default=DEFAULT, show_default=True, help="The workspace's slug.")
@click.option("--keep-events-days", "events", type=Days(), help="A number, or forever.")
@click.option("--keep-prompts-days", "prompts", type=Days(),
              help="A number, or forever: as long as the events.")  # fmt: skip
@data_dir_option
@json_option
def set_days(
    workspace: str,
    events: int | str | None,
    prompts: int | str | None,
    data_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Set how long a workspace keeps its events, its prompts, or both.

    What is older then is removed for good within the hour, or by `tokenwatcher retention apply`.
    """
    if events is None and prompts is None:
        raise click.UsageError("Give --keep-events-days, --keep-prompts-days, or both.")

    async def work(connection: AsyncConnection) -> Kept:
        found = await find_workspace(connection, workspace)
        if found is None:
            raise click.ClickException(f"There is no workspace {workspace!r}.")
        wanted = Kept(
            found.slug,
            _chosen(events, found.keep_events_days),
            _chosen(prompts, found.keep_prompts_days),
        )
        await keep(
            connection,
            found.id,
            events_days=wanted.keep_events_days,
            prompts_days=wanted.keep_prompts_days,
        )
        entry = Entry(
            action="workspace.change",
            object_kind="workspace",
            object_name=found.name,
            object_id=found.id,
            workspace_id=found.id,
            before=_kept(found),
            after=wanted,
        )
        await record(connection, operator(), entry, SystemClock().now_us())
        return wanted

    kept = with_control(data_dir, work)
    if as_json:
        print_json(kept)
    else:
        click.echo(
            f"{kept.workspace} keeps events {_days(kept.keep_events_days, 'for ever')} and prompts "
            f"{_days(kept.keep_prompts_days, 'as long as events')}."
        )


@retention.command("apply")
@data_dir_option
@json_option
def apply(data_dir: Path, *, as_json: bool) -> None:
    """Remove now what workspaces keep no longer; a running server does it by itself."""
    try:
        done: RetentionApplied = run_operation(
            data_dir, "retention.apply", ApplyRetentionArguments()
        )
    except (AppError, InstanceRefused) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json(done)
        return
    for each in done.removed:
        of = "events" if each.what == "events" else "events' prompts"
        click.echo(f"{each.workspace}: {each.count:,} {of} from before {each.before} removed.")
    if not done.removed:
        click.echo("Nothing is older than it is kept.")


def _kept(workspace: Workspace) -> Kept:
    return Kept(workspace.slug, workspace.keep_events_days, workspace.keep_prompts_days)


def _chosen(given: int | str | None, present: int | None) -> int | None:
    if given is None:
        return present
    return None if isinstance(given, str) else given


def _days(days: int | None, without: str) -> str:
    return without if days is None else f"{days} days"

"""`tokenwatcher keys`: make, list, rotate and revoke API keys, beside a running server too."""

from pathlib import Path

import click
import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tokenwatcher_server.access import key_changes as changes
from tokenwatcher_server.access import keys as access
from tokenwatcher_server.access.key_changes import (
    MOST_DAYS,
    MOST_OVERLAP_HOURS,
    USUAL_OVERLAP_HOURS,
)
from tokenwatcher_server.access.keys import KINDS, KeyKind, KeyRecord, NewKey
from tokenwatcher_server.access.projects import list_projects
from tokenwatcher_server.access.workspaces import DEFAULT, find_workspace
from tokenwatcher_server.cli.control import operator, with_control
from tokenwatcher_server.cli.group import Group
from tokenwatcher_server.cli.instance import data_dir_option, json_option, print_json
from tokenwatcher_server.cli.text import table, when
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.web.api.keys import view


@click.group(cls=Group)
def keys() -> None:
    """Make, list, rotate and revoke API keys."""


@keys.command("create")
@click.option("--name", default="API key", show_default=True, help="What the key is for.")
@click.option("--workspace", default=DEFAULT, show_default=True, help="The workspace's slug.")
@click.option("--project", help="A project's slug: the key then writes to it alone.")
@click.option("--kind", type=click.Choice(KINDS), default="live", show_default=True,
              help="`read` may read the API and nothing else; the others only send events.")  # fmt: skip
@click.option("--expires-in-days", type=click.IntRange(1, MOST_DAYS), help="Ends it by itself.")
@data_dir_option
@json_option
def create(
    name: str,
    workspace: str,
    project: str | None,
    kind: KeyKind,
    expires_in_days: int | None,
    data_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Make a key, and print it this once."""

    async def work(connection: AsyncConnection) -> NewKey:
        found = await find_workspace(connection, workspace)
        if found is None:
            raise click.ClickException(f"There is no workspace {workspace!r}.")
        projects = {one.slug: one.id for one in await list_projects(connection, found.id)}
        if project is not None and project not in projects:
            known = ", ".join(sorted(projects))
            raise click.ClickException(f"There is no project {project!r}; there are: {known}.")
        return await changes.make(
            connection,
            operator(),
            workspace_id=found.id,
            project_id=None if project is None else projects[project],
            name=name,
            kind=kind,
            now_us=SystemClock().now_us(),
            expires_in_days=expires_in_days,
        )

    made = with_control(data_dir, work)
    if as_json:
        print_json({**msgspec.to_builtins(view(made.record)), "rawKey": made.raw})
        return
    scope = f"project {project}" if project else f"workspace {workspace}"
    click.echo(made.raw)
    click.echo(f"A {kind} key for the {scope}. It is shown this once; store it now.", err=True)


@keys.command("list")
@data_dir_option
@json_option
def list_keys(data_dir: Path, *, as_json: bool) -> None:
    """List the keys by their prefix; a key itself is never shown again."""
    found = with_control(data_dir, access.list_keys)
    if as_json:
        print_json([view(key) for key in found])
        return
    rows = [
        [
            key.key_prefix + "…",
            key.name,
            key.kind,
            "project" if key.project_id else "workspace",
            when(key.created_at),
            when(key.last_used_at),
            _state(key),
            key.id,
        ]
        for key in found
    ]
    click.echo(table(["KEY", "NAME", "KIND", "FOR", "MADE", "LAST USED", "STATE", "ID"], rows))


@keys.command("revoke")
@click.argument("key")
@data_dir_option
@json_option
def revoke(key: str, data_dir: Path, *, as_json: bool) -> None:
    """Revoke the KEY of this id or prefix, for good; servers refuse it within a second."""

    async def work(connection: AsyncConnection) -> KeyRecord:
        found = await _named(connection, key)
        await changes.revoke(connection, operator(), found, SystemClock().now_us())
        return found

    revoked = with_control(data_dir, work)
    if as_json:
        print_json({"id": revoked.id, "keyPrefix": revoked.key_prefix, "revoked": True})
    else:
        click.echo(f"Revoked {revoked.key_prefix}… ({revoked.name}).")


@keys.command("rotate")
@click.argument("key")
@click.option("--overlap-hours", type=click.IntRange(0, MOST_OVERLAP_HOURS), show_default=True,
              default=USUAL_OVERLAP_HOURS, help="For how long the old key still holds.")  # fmt: skip
@data_dir_option
@json_option
def rotate(key: str, overlap_hours: int, data_dir: Path, *, as_json: bool) -> None:
    """Make a successor of the KEY of this id or prefix, and print it this once."""

    async def work(connection: AsyncConnection) -> NewKey:
        found, now_us = await _named(connection, key), SystemClock().now_us()
        return await changes.rotate(connection, operator(), found, overlap_hours, now_us)

    made = with_control(data_dir, work)
    if as_json:
        print_json({**msgspec.to_builtins(view(made.record)), "rawKey": made.raw})
        return
    click.echo(made.raw)
    until = f"holds for {overlap_hours} hours more" if overlap_hours else "is revoked"
    click.echo(f"It is shown this once; store it now. The key before it {until}.", err=True)


async def _named(connection: AsyncConnection, key: str) -> KeyRecord:
    matching = [
        record
        for record in await access.list_keys(connection)
        if record.id == key or record.key_prefix == key.rstrip("…")
    ]
    if not matching:
        raise click.ClickException(f"There is no key {key!r}; `keys list` shows them.")
    if len(matching) > 1:
        raise click.ClickException(f"Several keys begin with {key!r}; name one by its id.")
    return matching[0]


def _state(key: KeyRecord) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "holds"
    ended = key.ended_at(SystemClock().now_us()) is not None
    return "expired" if ended else f"until {when(key.expires_at)}"

"""`tokenwatcher erase`: a person's events, out of the store for good."""

from decimal import Decimal
from pathlib import Path

import click

from tokenwatcher_server.cli.instance import (
    data_dir_option,
    json_option,
    print_json,
    run_operation,
)
from tokenwatcher_server.cli.text import table
from tokenwatcher_server.kernel.errors import AppError, InstanceRefused
from tokenwatcher_server.retention.person import EraseArguments, PersonErased


@click.command()
@click.option("--user", required=True, metavar="ID",
              help="The person: events with this user id or end user id, to the letter.")  # fmt: skip
@click.option("--workspace", metavar="SLUG", help="In this workspace only.  [default: all]")
@click.option("--unlink", "--keep-totals", "unlink", is_flag=True,
              help="Keep the events and what they cost; remove the id, prompts and answers.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be erased, and erase nothing.")
@data_dir_option
@json_option
def erase(
    user: str,
    workspace: str | None,
    data_dir: Path,
    *,
    unlink: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove a person's events for good, or unlink them from the person.

    Removed events are in no sum any more. Unlinked ones stay in every sum but that of the person:
    that is how totals are kept. Both are noted in the audit log, under a digest instead of the
    id. Backups made before still hold the person.

    \b
        tokenwatcher erase --user user-17 --dry-run
        tokenwatcher erase --user user-17
        tokenwatcher erase --user user-17 --keep-totals --workspace default
    """
    if not user:
        raise click.BadParameter("an id has at least one character", param_hint="'--user'")
    arguments = EraseArguments(user, workspace, unlink, dry_run)
    try:
        done: PersonErased = run_operation(data_dir, "people.erase", arguments)
    except (AppError, InstanceRefused) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json(done)
    else:
        click.echo(_told(done))


def _told(done: PersonErased) -> str:
    if not done.events:
        return "There are no events of this person."
    deed = "unlinked" if done.unlinked else "erased"
    said = f"would be {deed}" if done.dry_run else f"{deed} for good"
    rows = [
        (each.workspace, f"{each.events:,}", f"{each.input_tokens:,}", f"{each.output_tokens:,}",
         f"${Decimal(each.cost_usd).normalize():f}")
        for each in done.workspaces
    ]  # fmt: skip
    events = "1 event" if done.events == 1 else f"{done.events:,} events"
    lines = [f"{events} {said}:", ""]
    lines += [table(("Workspace", "Events", "Input tokens", "Output tokens", "Cost"), rows), ""]
    lines += [f"In the audit log they are person {done.person}."]
    return "\n".join(lines)

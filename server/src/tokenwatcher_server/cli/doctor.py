"""`tokenwatcher doctor`: is this instance set up safely, and what mends what is not."""

import asyncio
import sys
import textwrap
from pathlib import Path

import click
import msgspec

from tokenwatcher_server.access.checkup import Checkup, Point, Verdict
from tokenwatcher_server.access.checkup_facts import check_up
from tokenwatcher_server.access.posture import refuse_to_start
from tokenwatcher_server.cli.instance import (
    data_dir_option,
    is_instance,
    json_option,
    print_json,
    run_operation,
    running_server,
    settings_of,
)
from tokenwatcher_server.control.database import FILE_NAME, Database, control_url
from tokenwatcher_server.kernel.clock import SystemClock
from tokenwatcher_server.kernel.errors import InstanceRefused
from tokenwatcher_server.settings import Settings, SettingsError
from tokenwatcher_server.web.operations import CheckupArguments

_MARKS: dict[Verdict, tuple[str, str]] = {
    "good": ("ok", "green"),
    "warning": ("WARN", "yellow"),
    "wrong": ("WRONG", "red"),
}
_WIDTH = 96


@click.command()
@data_dir_option
@json_option
def doctor(data_dir: Path, *, as_json: bool) -> None:
    """Check how safely the instance is set up; ends with status 1 where something is wrong.

    The running server is asked, as its settings count; without one, those of this shell.
    """
    asked = running_server(data_dir)
    if asked is not None:
        found: Checkup = run_operation(data_dir, "checkup", CheckupArguments())
    else:
        found = asyncio.run(_look(settings_of(data_dir)))
    if as_json:
        print_json({"wrong": found.wrong, "points": found.points})
    else:
        where = f"the server at {asked.url}" if asked else _place(data_dir)
        click.echo(f"Looking at {where}.\n")
        for point in found.points:
            click.echo(_text(point))
        click.echo(_sum(found))
    sys.exit(1 if found.wrong else 0)


def _place(data_dir: Path) -> str:
    if is_instance(data_dir):
        return f"{data_dir}, where no server runs now"
    return f"the settings that a first start with {data_dir} would have"


async def _look(settings: Settings) -> Checkup:
    try:
        refuse_to_start(msgspec.structs.replace(settings, insecure=True))
    except SettingsError as error:  # what is only dangerous is told below
        raise click.ClickException(str(error)) from None
    now_us = SystemClock().now_us()
    if settings.database_url is None and not (settings.data_dir / FILE_NAME).exists():
        return await check_up(settings, None, now_us)
    try:
        database = Database(control_url(settings.database_url, settings.data_dir))
    except InstanceRefused as error:
        raise click.ClickException(str(error)) from None
    try:
        return await check_up(settings, database, now_us)
    finally:
        await database.close()


def _text(point: Point) -> str:
    mark, colour = _MARKS[point.verdict]
    line = f"{click.style(mark.ljust(6), fg=colour)}{point.title}: {point.found}"
    if point.verdict == "good":
        return line
    return "\n".join([line, *_indented(point.why), *_indented(f"→ {point.mend}"), ""])


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 8)


def _sum(found: Checkup) -> str:
    counts = f"{found.count('good')} good, {found.count('warning')} to look at, {found.wrong} wrong"
    return f"\n{counts}."

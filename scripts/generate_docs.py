"""Writes docs/settings.md and docs/cli.md, or the same into a folder given, from the code."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tokenwatcher_server.cli.main import main
from tokenwatcher_server.settings import SETTINGS, Settings

DOCS = Path(__file__).parent.parent / "docs"
WIDTH = 96


def settings_page() -> str:
    """Every setting: its variable, its default and its sentence."""
    defaults = Settings()
    lines = [
        "# Settings",
        "",
        "Each is an environment variable. A secret may instead be given as `NAME_FILE`, the path of",
        "a file that holds it. A wrong value stops the start with a message naming the variable.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for setting in SETTINGS:
        secret = " A secret." if setting.secret else ""
        default = _shown(getattr(defaults, setting.field))
        lines.append(f"| `{setting.variable}` | {default} | {setting.sentence}{secret} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value is None or value == ():
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def cli_page() -> str:
    """The help of every command, as a terminal shows it."""
    sections = ["# Command line", ""]
    for context in _contexts(main, "tokenwatcher", None):
        sections += [f"## `{context.command_path}`", "", "```"]
        context.max_content_width = context.terminal_width = WIDTH
        sections += [context.command.get_help(context), "```", ""]
    return "\n".join(sections)


def _contexts(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    """A command's context, as the command line would make it, and those of the ones within."""
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            if (found := command.get_command(context, inner)) is not None:
                yield from _contexts(found, inner, context)


PAGES = {"settings.md": settings_page, "cli.md": cli_page}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")

"""What a start shows while the store makes its columns anew."""

import sys
from typing import TextIO

import click

from tokenwatcher_server.cli.progress import progress_on
from tokenwatcher_server.stores import Progress

LABEL = "Making the columns anew from the journal"


def rebuilding_bar(shown_on: TextIO = sys.stderr) -> Progress | None:
    """A progress bar on a terminal; None elsewhere, where the log says how far it is."""
    if not shown_on.isatty():
        return None
    bar = click.progressbar(length=1, label=LABEL, file=shown_on)
    advance = progress_on(bar)

    def progress(done: int, total: int) -> None:
        advance(done, total)
        if done >= total:
            bar.render_finish()

    return progress

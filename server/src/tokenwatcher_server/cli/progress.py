"""How far a long command is, on a bar."""

from typing import Any

from tokenwatcher_server.stores import Progress


def progress_on(bar: Any) -> Progress:
    """Moves one of click's progress bars to what is done of what there is."""

    def progress(done: int, total: int) -> None:
        bar.length = total
        bar.update(done - bar.pos)

    return progress

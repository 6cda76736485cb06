"""The same server, except that its store acknowledges without storing: a limit to compare with."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from tokenwatcher_server.app import App
from tokenwatcher_server.cli.instance import settings_of
from tokenwatcher_server.cli.serve import start
from tokenwatcher_server.events.event import PricedEvent
from tokenwatcher_server.events.store import Outcome, Stored


async def acknowledge_all(batches: Sequence[Sequence[PricedEvent]]) -> list[Outcome]:
    return [Stored() for _ in batches]


async def _replace_append(app: App, _url: str) -> None:
    # only this one step is left out; all others run as they do in the real server
    setattr(app.services.store, "append", acknowledge_all)  # noqa: B010


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True)
@click.option("--port", type=int, required=True)
def main(data_dir: Path, port: int) -> None:
    start(settings_of(data_dir, port=port), _replace_append, next_free_port=False)


if __name__ == "__main__":
    sys.exit(main())

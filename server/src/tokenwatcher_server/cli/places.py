"""Places as they are named on the command line: a data folder, or the URLs of databases."""

from pathlib import Path

import click

from tokenwatcher_server.backup.place import Place

NO_FOLDER = Path("/nonexistent")


def place_named(name: str, events_url: str | None = None) -> Place:
    """The place of a folder's name or a URL; ends the command for a URL of no known kind."""
    if name.startswith("postgresql:"):
        return Place(NO_FOLDER, name, events_url or name)
    if "://" in name:
        raise click.UsageError(
            f"{name.partition(':')[0]!r} can't hold an instance: name a folder, or a database as "
            "postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return Place(Path(name), None, events_url)


def shown(place: Place) -> str:
    """What to call it, without the password of its URL."""
    return str(place.folder) if place.database_url is None else "the database"


def how_to_start(place: Place) -> str:
    """What a server needs to run on it."""
    if place.database_url is None:
        return f"Start it: tokenwatcher serve --data-dir {place.folder}"
    events = "" if place.events_url == place.database_url else " EVENTS_URL to its events' place,"
    return (
        f"Start it with DATABASE_URL set to it,{events} and DASHBOARD_SESSION_SECRET to the secret of the "
        "instance that it comes from (in a data folder: session.secret), which channels' secrets "
        "are encrypted with."
    )

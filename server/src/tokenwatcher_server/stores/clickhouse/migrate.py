"""Brings the tables to this version's schema; run at every start, also of several servers at once."""

from typing import Final

from tokenwatcher_server.events.store import StoreRefused
from tokenwatcher_server.stores.clickhouse.connection import Connection
from tokenwatcher_server.stores.clickhouse.schema import steps, version_table

_TYPES: Final = {"version": "UInt32"}


def migrate(connection: Connection, cluster: str | None) -> None:
    """Do the steps that are missing. Raises StoreRefused for tables of a newer version."""
    for statement in version_table(cluster):
        connection.execute(statement)
    [(done,)] = connection.rows("select max(version) from events_version")
    known = steps(cluster)
    if done > len(known):
        raise StoreRefused(
            f"EVENTS_URL: the tables were made by a newer TokenWatcher (version {done}, this one"
            f" knows {len(known)}): start that version again; nothing was changed"
        )
    for version, step in enumerate(known[done:], done + 1):
        for statement in step:
            connection.execute(statement)
        connection.insert("events_version", {"version": [version]}, _TYPES, f"version {version}")

"""Where events are kept. `open_store` is all that the rest of the program knows."""

import asyncio
from pathlib import Path

from tokenwatcher_server.events.history import History
from tokenwatcher_server.events.store import QUESTION_SECONDS, EventStore, StoreRefused
from tokenwatcher_server.kernel.clock import Clock
from tokenwatcher_server.stores.embedded.files import files_of
from tokenwatcher_server.stores.embedded.history import EmbeddedHistory
from tokenwatcher_server.stores.embedded.rebuild import Progress, rebuild
from tokenwatcher_server.stores.embedded.store import open_embedded

__all__ = ["Progress", "open_history", "open_store", "rebuild_store"]


async def open_store(
    url: str | None,
    data_dir: Path,
    clock: Clock,
    rebuilding: Progress | None = None,
    question_seconds: float = QUESTION_SECONDS,
) -> EventStore:
    """Open the store that `url` names; None is the embedded one, in the data folder.

    Where much that is derived has to be made anew first, `rebuilding` hears of events done and
    events in all; without it, the log does. Raises StoreRefused where the store's files can't be
    used, with a message that says what to do. A question is ended after `question_seconds`.
    """
    if url is not None and url.startswith("postgresql:"):
        # imported here, as most servers do without
        from tokenwatcher_server.stores.postgres.store import open_postgres

        return await open_postgres(url, clock, question_seconds)
    if url is not None and url.startswith("clickhouse:"):
        from tokenwatcher_server.stores.clickhouse.store import open_clickhouse

        return await asyncio.to_thread(open_clickhouse, url, clock, question_seconds)
    _refuse_other(url)
    return await asyncio.to_thread(open_embedded, data_dir, clock, rebuilding, question_seconds)


def open_history(url: str | None, data_dir: Path) -> History:
    """Read all that the store holds, also beside a server that runs on it.

    Raises StoreRefused where there is no store.
    """
    if url is not None and url.startswith("postgresql:"):
        from tokenwatcher_server.stores.postgres.history import PostgresHistory

        return PostgresHistory(url)
    if url is not None and url.startswith("clickhouse:"):
        from tokenwatcher_server.stores.clickhouse.history import ClickHouseHistory

        return ClickHouseHistory(url)
    _refuse_other(url)
    return EmbeddedHistory(files_of(data_dir))


def rebuild_store(data_dir: Path, progress: Progress) -> int:
    """Make all that is derived in the embedded store anew from its journal; gives the events.

    Raises StoreRefused while a server runs on the folder. `progress` hears of events done and
    events in all.
    """
    return rebuild(files_of(data_dir), progress)


def _refuse_other(url: str | None) -> None:
    if url is not None:
        scheme = url.partition(":")[0]
        raise StoreRefused(
            f"EVENTS_URL: events can't be kept in {scheme!r}: write it like"
            " postgresql://USER:PASSWORD@HOST/DATABASE or clickhouse://USER:PASSWORD@HOST/DATABASE,"
            " or unset it"
        )

"""Checks the tables against themselves: the files, the ids, the answers, and the sums of tokens."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from tokenwatcher_server.events.store import Verification
from tokenwatcher_server.events.tokens import INPUT_BUCKETS, OUTPUT_BUCKETS
from tokenwatcher_server.stores.clickhouse.connection import Connection

MOST_FAULTS: Final = 20


def verify(connection: Connection, cluster: str | None) -> Verification:
    """Read everything once."""
    [(events, commits)] = connection.rows("select count(), uniqExact(sequence) from events final")
    faults = tuple(islice(_faults(connection, cluster), MOST_FAULTS))
    return Verification(sound=not faults, events=events, commits=commits, faults=faults)


def _faults(connection: Connection, cluster: str | None) -> Iterator[str]:
    table = "events" if cluster is None else "events_local"
    [(passed,)] = connection.rows(
        f"check table {table} settings check_query_single_value_result = 1"
    )
    if not passed:
        yield f"the files of {table} are not those that were written: `check table` says which"
    for name, columns in (("input_tokens", INPUT_BUCKETS), ("output_tokens", OUTPUT_BUCKETS)):
        total = " + ".join(f"ifNull({column}, 0)" for column in columns)
        yield from _named(
            connection, f"{name} != {total}", "", f"{name} is not the sum of its parts"
        )
    counted = "group by {by} having count() > 1"
    yield from _named(
        connection, "true", counted.format(by="workspace_id, id"), "it counts more than once"
    )
    yield from _named(
        connection, "answer != 0", counted.format(by="workspace_id, answer"),
        "its provider's answer counts more than once",
    )  # fmt: skip


def _named(connection: Connection, where: str, grouped: str, fault: str) -> Iterator[str]:
    """The events that a condition holds for."""
    rows = connection.rows(
        f"select workspace_id, min(id) as first from events final where {where}"
        f" {grouped or 'group by workspace_id, id'} order by 1, 2 limit {MOST_FAULTS}"
    )
    for workspace_id, event_id in rows:
        yield f"event {event_id} of workspace {workspace_id}: {fault}"
